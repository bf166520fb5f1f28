#!/bin/sh
# Opens a pull request that moves foobar-api's image on by one region: propose.sh [IMAGE]
# Without an image, the next region gets what the one before it runs. What is proposed already is
# brought up to date. Needs git with a remote to push to, and gh signed in.
set -eu
python=${PYTHON:-python}
base=${BASE:-main}

step=$("$python" -m fleet promote ${1:+--image "$1"})
echo "$step"
case $step in 'nothing to promote') exit 0 ;; esac
region=${step%%: *}
image=${step##* → }
branch=promote/$region

"$python" main.py > /dev/null
git switch --quiet --force-create "$branch"
git add clusters.yaml dist
git commit --quiet --message "Run foobar-api ${image##*/} in $region"
git push --quiet --force origin "$branch"

if [ "$(gh pr list --head "$branch" --state open --json number --jq length)" = 0 ]; then
  gh pr create --base "$base" --head "$branch" \
    --title "Run foobar-api ${image##*/} in $region" \
    --body "$step

Look at the region once this is merged; the next region follows in a pull request of its own, and
reverting the commit goes back."
fi

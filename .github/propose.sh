#!/bin/sh
# Opens a pull request that moves an app's image on by one region: propose.sh APP [IMAGE]
# Without an image, the next region gets what the one before it runs. What is proposed already is
# brought up to date. Needs git with a remote to push to, and gh signed in.
set -eu
python=${PYTHON:-python}
base=${BASE:-main}

app=$1

step=$("$python" -m fleet promote --app "$app" ${2:+--image "$2"})
echo "$step"
case $step in 'nothing to promote') exit 0 ;; esac
region=${step%%: *}
image=${step##* → }
branch=promote/$app/$region

"$python" main.py > /dev/null
git switch --quiet --force-create "$branch"
git add clusters.yaml dist
git commit --quiet --message "Run $app ${image##*/} in $region"
git push --quiet --force origin "$branch"

if [ "$(gh pr list --head "$branch" --state open --json number --jq length)" = 0 ]; then
  gh pr create --base "$base" --head "$branch" \
    --title "Run $app ${image##*/} in $region" \
    --body "$step

Look at the region once this is merged; the next region follows in a pull request of its own, and
reverting the commit goes back."
fi

#!/bin/sh
# The image of this commit: `image.sh name` says its name, `image.sh arguments` what its build is
# told. The same commit gives the same answers.
set -eu
version=$(sed -n 's/^VERSION.*"\(.*\)"$/\1/p' foobar_api/__init__.py)
revision=$(git rev-parse HEAD)
case $1 in
  # A tag is never pushed twice: it has the commit in it.
  name) echo "sjc.vultrcr.com/globalregistry/foobar-api:$version-$(echo "$revision" | cut -c 1-12)" ;;
  arguments)
    echo "--build-arg VERSION=$version --build-arg REVISION=$revision" \
      "--build-arg CREATED=$(TZ=UTC git log -1 --format=%cd --date=format-local:%Y-%m-%dT%H:%M:%SZ)" ;;
  *) echo "image.sh: name or arguments, not $1" >&2; exit 2 ;;
esac

"""helm template: a chart of a region's objects, a values file a cluster, a process a release."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.synth.contenders import Command, Contender
from bench.synth.files import to_yaml, write_yaml
from bench.synth.objects import Components, Object
from bench.synth.template import Place, Places, Split, Template, rewrite_marks


def helm(name: str, split: Split, template: Template, folder: Path) -> Contender:
    output, commands = folder / "out", []
    for cluster, facts in template.facts.items():
        model = template.model(cluster)
        values = folder / "values" / f"{cluster}.yaml"
        write_yaml(values, facts)
        (output / cluster).mkdir(parents=True)
        for part, components in split(template.objects(model)).items():
            chart = folder / "charts" / model / part
            if not chart.exists():
                _chart(chart, components, template.places(model))
            argv = ["helm", "template", part, str(chart), "--values", str(values)]
            commands.append(Command(argv, output / cluster / f"{part}.yaml"))
    return Contender(name, commands, folder, output)


def _chart(folder: Path, components: Components, places: Places) -> None:
    """A template an object, with a value at each of its places."""
    write_yaml(folder / "Chart.yaml", {"apiVersion": "v2", "name": folder.name, "version": "1.0.0"})
    for component, files in components.items():
        for name, body in files.items():
            text = to_yaml(_marked(body, places.get((component, name), ())))
            # The braces of Argo CD's own templates, literally.
            text = text.replace("{{", '{{ "{{" }}')
            file = folder / "templates" / component / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(rewrite_marks(text, r"{{ .Values.\1 }}"), encoding="utf-8")


def _marked(body: Object, places: Sequence[Place]) -> Mapping[str, Any]:
    copy = json.loads(json.dumps(body))
    for (*path, last), marked in places:
        holder = copy
        for step in path:
            holder = holder[step]
        holder[last] = marked
    return copy  # type: ignore[no-any-return]

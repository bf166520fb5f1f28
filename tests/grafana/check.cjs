// Reads dashboards as JSON from standard input, and writes what Grafana's schema says against each.
//
// Arguments: the folder that has the packages installed, and dashboard.ts.

const { readFileSync } = require('node:fs');
const { join } = require('node:path');

const [packages, types] = process.argv.slice(2);
const ts = require(join(packages, 'node_modules', 'typescript'));

const dashboards = JSON.parse(readFileSync(0, 'utf8'));
// In the folder of the packages, so that imports are found there.
const typesFile = join(packages, 'dashboard.ts');
const files = new Map([[typesFile, readFileSync(types, 'utf8')]]);
const names = dashboards.map((dashboard, at) => {
  const name = join(packages, `checked-${at}.ts`);
  files.set(
    name,
    `import type { Dashboard } from './dashboard';\nexport const dashboard: Dashboard = ${JSON.stringify(dashboard)};\n`,
  );
  return name;
});

const options = {
  module: ts.ModuleKind.ESNext,
  moduleResolution: ts.ModuleResolutionKind.Bundler,
  target: ts.ScriptTarget.ES2022,
  lib: ['lib.es2022.d.ts'],
  types: [],
  strict: true,
  noEmit: true,
  skipLibCheck: true,
};
const host = ts.createCompilerHost(options);
const { fileExists, getSourceFile, readFile } = host;
host.fileExists = (name) => files.has(name) || fileExists(name);
host.readFile = (name) => files.get(name) ?? readFile(name);
host.getSourceFile = (name, version, ...more) =>
  files.has(name)
    ? ts.createSourceFile(name, files.get(name), version, true)
    : getSourceFile(name, version, ...more);
const program = ts.createProgram([typesFile, ...names], options, host);

/** Where in a dashboard a fault is: `panels[3].options.legend`. */
function path(source, start) {
  let node = source;
  let found = '';
  for (;;) {
    const child = ts.forEachChild(node, (each) => (each.getStart() <= start && start < each.end ? each : undefined));
    if (!child) return found;
    if (ts.isPropertyAssignment(child)) found += `.${child.name.text}`;
    if (ts.isArrayLiteralExpression(node)) found += `[${node.elements.indexOf(child)}]`;
    node = child;
  }
}

const faults = (name) => {
  const source = program.getSourceFile(name);
  return [...program.getSyntacticDiagnostics(source), ...program.getSemanticDiagnostics(source)].map(
    ({ messageText, start }) => `${path(source, start ?? 0).slice(1)}: ${ts.flattenDiagnosticMessageText(messageText, ' ')}`,
  );
};
const own = [...program.getGlobalDiagnostics().map(({ messageText }) => String(messageText)), ...faults(typesFile)];
if (own.length) throw new Error(own.join('\n'));
process.stdout.write(JSON.stringify(names.map(faults)));

// Reads a JSON list of LogQL queries from standard input and writes the list of their syntax trees.
// The argument is the folder that holds node_modules.
"use strict";
const { readFileSync } = require("node:fs");
const { createRequire } = require("node:module");

const { parser } = createRequire(`${process.argv[2]}/`)("@grafana/lezer-logql");

function tree(query, node) {
  const children = [];
  for (let child = node.firstChild; child; child = child.nextSibling) {
    children.push(tree(query, child));
  }
  return { name: node.type.isError ? "error" : node.name, text: query.slice(node.from, node.to), children };
}

const queries = JSON.parse(readFileSync(0, "utf8"));
process.stdout.write(JSON.stringify(queries.map((query) => tree(query, parser.parse(query).topNode))));

// GitHub's own parser of workflows and evaluator of expressions: a JSON line in, a JSON line out.
//   {"parse": text, "name": file, "called": {file: text}}  -> {"errors", "template", "source"}
//   {"evaluate": expression, "contexts": {}, "status": ""} -> {"value", "text", "truthy"}
import { register } from "node:module";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

// The parser imports JSON without saying so, which Node refuses unless told.
const load = `export const load = (url, context, next) =>
  next(url, url.endsWith(".json") ? { ...context, importAttributes: { type: "json" } } : context);`;
register("data:text/javascript," + encodeURIComponent(load));

const modules = pathToFileURL(process.argv[2] + "/@actions/");
const { Evaluator, Lexer, Parser, data } = await import(new URL("expressions/dist/index.js", modules));
const { NoOperationTraceWriter, convertWorkflowTemplate, parseWorkflow } = await import(
  new URL("workflow-parser/dist/index.js", modules)
);

// Tokens as plain values; an expression is {"expr": "…"}.
function plain(token) {
  if (Array.isArray(token)) return token.map(plain);
  if (token === null || typeof token !== "object") return token;
  if (token.type === 1 && token.seq) return token.seq.map(plain);
  if (token.type === 2) {
    return Object.fromEntries((token.map ?? []).map((pair) => [plain(pair.Key), plain(pair.Value)]));
  }
  if (token.type === 3) return { expr: token.expr };
  return Object.fromEntries(Object.entries(token).map(([key, value]) => [key, plain(value)]));
}

async function parse(content, name, called) {
  const result = parseWorkflow({ name, content }, new NoOperationTraceWriter());
  const errors = result.context.errors.getErrors().map((error) => error.message);
  if (errors.length || !result.value) return { errors };
  const files = { getFileContent: async ({ path }) => ({ name: path, content: called[path] }) };
  const depth = { fetchReusableWorkflowDepth: 1 };
  const template = await convertWorkflowTemplate(result.context, result.value, files, depth);
  errors.push(...(template.errors ?? []).map((error) => error.Message));
  const whole = JSON.parse(JSON.stringify({ template, source: result.value }));
  return { errors, template: plain(whole.template), source: plain(whole.source) };
}

function evaluate(expression, contexts, status) {
  const answers = {
    success: status === "success",
    failure: status === "failure",
    cancelled: status === "cancelled",
    always: true,
  };
  const functions = Object.entries(answers).map(([name, value]) => ({
    name,
    minArgs: 0,
    maxArgs: 99,
    call: () => new data.BooleanData(value),
  }));
  const empty = () => new data.StringData("");
  functions.push({ name: "hashfiles", minArgs: 1, maxArgs: 99, call: empty });
  const values = JSON.parse(JSON.stringify(contexts), data.reviver);
  const { tokens } = new Lexer(expression).lex();
  for (const token of tokens) {
    // The lexer turns only the first '' of a string into a quote; GitHub's own runner, every one.
    if (token.lexeme.startsWith("'")) token.value = token.lexeme.slice(1, -1).replaceAll("''", "'");
  }
  const tree = new Parser(tokens, Object.keys(contexts), functions).parse();
  const known = new Map(functions.map((one) => [one.name, one]));
  const result = new Evaluator(tree, values, known).evaluate();
  const text = result.coerceString();
  const value = JSON.parse(JSON.stringify(result, data.replacer) ?? "null");
  const falsy = value === null || value === false || value === 0 || value === "";
  return { value, text, truthy: !falsy };
}

for await (const line of createInterface({ input: process.stdin })) {
  const asked = JSON.parse(line);
  let answer;
  try {
    answer =
      "parse" in asked
        ? await parse(asked.parse, asked.name, asked.called)
        : evaluate(asked.evaluate, asked.contexts, asked.status);
  } catch (error) {
    answer = { error: String(error?.message ?? error) };
  }
  process.stdout.write(JSON.stringify(answer) + "\n");
}

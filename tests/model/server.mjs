// A small language model behind the calls that OpenAI's API made common, for tests: POST /v1/chat/completions with
// `response_format: json_schema` (held by a grammar while words are chosen), `n`, `seed`, `temperature`,
// `frequency_penalty`, `max_tokens` and `usage`.
//
//   node tests/model/server.mjs FOLDER MODEL.gguf
//
// FOLDER holds `node_modules/node-llama-cpp`, MODEL.gguf the weights. It listens on a free port of 127.0.0.1, prints that port as
// one line, and ends when its standard input does, so that no test leaves it behind. One request is worked on at a time; one
// whose caller went away is dropped.

import { createServer } from "node:http";
import { join, basename, resolve } from "node:path";
import { pathToFileURL } from "node:url";

const LONGEST_REQUEST = 1 << 20;
const MOST_CHOICES = 8;

const [folder, file] = process.argv.slice(2);
if (!file) {
  console.error("usage: node tests/model/server.mjs FOLDER MODEL.gguf");
  process.exit(2);
}
const runtime = pathToFileURL(resolve(join(folder, "node_modules/node-llama-cpp/dist/index.js")));
const { getLlama, LlamaChatSession } = await import(runtime);
// Never compiled and never fetched: what was not installed is an error.
// One thread: several wait for one another at every layer, and where other programs have the cores that wait is most of the time
// (measured: 2 tokens a second with two threads on two busy cores, 30 with one).
const llama = await getLlama({ gpu: false, build: "never", skipDownload: true, logLevel: "error", maxThreads: 1 });
const model = await llama.loadModel({ modelPath: resolve(file) });
const context = await model.createContext({ contextSize: 2048, sequences: 1, threads: 1 });
const sequence = context.getSequence();

class Refused extends Error {}

const number = (value, name, least, most, otherwise) => {
  if (value === undefined || value === null) return otherwise;
  if (typeof value !== "number" || !(value >= least && value <= most)) throw new Refused(`${name} is out of range`);
  return value;
};

async function grammarOf(format) {
  if (!format || format.type === "text") return undefined;
  if (format.type === "json_object") return llama.getGrammarFor("json");
  if (format.type !== "json_schema" || !format.json_schema?.schema) throw new Refused("response_format is unknown");
  return llama.createGrammarForJsonSchema(format.json_schema.schema);
}

/** The answer to a request; `signal` aborts it. */
async function complete(request, signal) {
  const { messages } = request;
  if (!Array.isArray(messages) || messages.at(-1)?.role !== "user") throw new Refused("messages do not end with a user's");
  const history = messages.slice(0, -1).map(({ role, content }) => {
    if (typeof content !== "string") throw new Refused("a message's content is no string");
    if (role === "assistant") return { type: "model", response: [content] };
    if (role !== "system" && role !== "user") throw new Refused("a message has an unknown role");
    return { type: role, text: content };
  });
  const prompt = messages.at(-1).content;
  if (typeof prompt !== "string") throw new Refused("a message's content is no string");
  const grammar = await grammarOf(request.response_format);
  const longest = number(request.max_tokens ?? request.max_completion_tokens, "max_tokens", 1, 1024, 256);
  const count = number(request.n, "n", 1, MOST_CHOICES, 1);
  const seed = number(request.seed, "seed", 0, 2 ** 32 - 1, 1);
  const temperature = number(request.temperature, "temperature", 0, 2, 0.7);
  const frequencyPenalty = number(request.frequency_penalty, "frequency_penalty", 0, 2, 0);
  const usage = { prompt_tokens: 0, completion_tokens: 0, total_tokens: 0 };
  const choices = [];
  for (let index = 0; index < count; index += 1) {
    const session = new LlamaChatSession({ contextSequence: sequence });
    session.setChatHistory(structuredClone(history));
    const full = [...history, { type: "user", text: prompt }, { type: "model", response: [] }];
    const said = session.chatWrapper.generateContextState({ chatHistory: full }).contextText.tokenize(model.tokenizer);
    usage.prompt_tokens = said.length;
    const before = sequence.tokenMeter.usedOutputTokens;
    const { responseText, stopReason } = await session.promptWithMeta(prompt, {
      grammar, maxTokens: longest, seed: (seed + index) % 2 ** 32, temperature, topP: 0.9, topK: 40, signal,
      repeatPenalty: frequencyPenalty > 0 && { penalty: 1, frequencyPenalty },
    });
    session.dispose({ disposeSequence: false });
    usage.completion_tokens += sequence.tokenMeter.usedOutputTokens - before;
    const finish = stopReason === "maxTokens" ? "length" : "stop";
    choices.push({ index, finish_reason: finish, message: { role: "assistant", content: responseText } });
  }
  usage.total_tokens = usage.prompt_tokens + usage.completion_tokens;
  return { object: "chat.completion", created: Math.floor(Date.now() / 1000), model: basename(file, ".gguf"), choices, usage };
}

const answer = (response, status, body) => {
  response.writeHead(status, { "content-type": "application/json" });
  response.end(JSON.stringify(body));
};
const refuse = (response, status, code) => answer(response, status, { error: { code, message: code } });

// The model has one place to think in: requests stand in line.
let line = Promise.resolve();

const server = createServer((request, response) => {
  if (request.method !== "POST" || request.url !== "/v1/chat/completions") return refuse(response, 404, "not_found");
  const gone = new AbortController();
  response.on("close", () => gone.abort());
  const parts = [];
  let length = 0;
  request.on("data", (part) => {
    length += part.length;
    if (length <= LONGEST_REQUEST) parts.push(part);
  });
  request.on("end", () => {
    if (length > LONGEST_REQUEST) return refuse(response, 413, "too_long");
    line = line.then(async () => {
      if (gone.signal.aborted) return;
      try {
        const body = JSON.parse(Buffer.concat(parts).toString("utf8"));
        answer(response, 200, await complete(body, gone.signal));
      } catch (error) {
        if (gone.signal.aborted) return;
        const ours = error instanceof Refused || error instanceof SyntaxError;
        if (!ours) console.error(error);
        refuse(response, ours ? 400 : 500, ours ? "invalid_request" : "server_error");
      }
    });
  });
});
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
process.stdin.on("end", () => process.exit(0)).resume();

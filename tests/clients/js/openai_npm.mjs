// openai (npm).

import OpenAI from "openai";
import { apiKey, baseURL, fields, model, question, tell, unknown, vote } from "./aspects.mjs";

const client = new OpenAI({ apiKey, baseURL });
const messages = [{ role: "user", content: question }];

async function answer(extra = {}) {
  const { choices } = await client.chat.completions.create({ model, messages, ...extra });
  const { content, reasoning } = choices[0].message;
  return { content, reasoning };
}

async function stream(extra = {}) {
  const pieces = [];
  for await (const chunk of await client.chat.completions.create({ model, messages, stream: true, ...extra })) {
    if (chunk.choices[0]?.delta.content) pieces.push(chunk.choices[0].delta.content);
  }
  return { pieces };
}

// The Responses API of this client (`client.responses.create` and its stream) has its place here: not tested yet.
await tell({
  answer,
  stream,
  strategy: () => answer(vote),
  strategy_stream: () => stream(vote),
  fields: () => answer(fields),
  error: () => answer(unknown),
  error_stream: () => stream(unknown),
});

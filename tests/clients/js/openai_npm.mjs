// openai (npm).

import OpenAI from "openai";
import { again, apiKey, baseURL, fields, model, question, tell, unknown, vote } from "./aspects.mjs";

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

async function secondTurn(extra) {
  const { choices } = await client.chat.completions.create({ model, messages, ...extra });
  const asked = [...messages, choices[0].message, again];
  const reply = await client.chat.completions.create({ model, messages: asked });
  return { content: reply.choices[0].message.content };
}

// The Responses API of this client (`client.responses.create` and its stream) has its place here: not tested yet.
await tell({
  answer,
  stream,
  strategy: () => answer(vote),
  strategy_stream: () => stream(vote),
  fields: () => answer(fields),
  second_turn: () => secondTurn(vote),
  second_turn_with_fields: () => secondTurn(fields),
  error: () => answer(unknown),
  error_stream: () => stream(unknown),
});

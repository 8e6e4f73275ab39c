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

async function responses(extra = {}) {
  const response = await client.responses.create({ model, input: question, store: false, ...extra });
  const thoughts = response.output.filter((item) => item.type === "reasoning").flatMap((item) => item.content);
  return { content: response.output_text, reasoning: thoughts.map((part) => part.text).join(""), status: response.status };
}

async function responsesStream(extra = {}) {
  const events = [];
  const wanted = { model, input: question, store: false, stream: true, ...extra };
  for await (const event of await client.responses.create(wanted)) events.push(event);
  const deltas = (type) => events.filter((event) => event.type === type).map((event) => event.delta);
  return {
    pieces: deltas("response.output_text.delta"),
    reasoning: deltas("response.reasoning_text.delta").join(""),
    in_order: events.every((event, at) => at === 0 || event.sequence_number > events[at - 1].sequence_number),
    ends: [events[0].type, events.at(-1).type],
  };
}

await tell({
  answer,
  stream,
  strategy: () => answer(vote),
  strategy_stream: () => stream(vote),
  fields: () => answer(fields),
  second_turn: () => secondTurn(vote),
  second_turn_with_fields: () => secondTurn(fields),
  responses,
  responses_vote: () => responses(vote),
  responses_stream: responsesStream,
  responses_vote_stream: () => responsesStream(vote),
  responses_error: () => responses(unknown),
  error: () => answer(unknown),
  error_stream: () => stream(unknown),
});

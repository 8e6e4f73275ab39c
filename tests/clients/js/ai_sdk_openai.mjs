// The AI SDK with @ai-sdk/openai. It sends no fields that it does not know, so a strategy is named with the model.

import { createOpenAI } from "@ai-sdk/openai";
import { answer, secondTurn, stream } from "./ai_sdk.mjs";
import { apiKey, baseURL, model, tell } from "./aspects.mjs";

const openai = createOpenAI({ apiKey, baseURL });

// `openai(model)`, which posts to /v1/responses, has its place here: not tested yet.
await tell({
  answer: () => answer(openai.chat(model)),
  stream: () => stream(openai.chat(model)),
  strategy: () => answer(openai.chat(`${model}:self_consistency`)),
  strategy_stream: () => stream(openai.chat(`${model}:self_consistency`)),
  second_turn: () => secondTurn(openai.chat(`${model}:self_consistency`), {}, openai.chat(model)),
  error: () => answer(openai.chat(`${model}:no_such_strategy`)),
  error_stream: () => stream(openai.chat(`${model}:no_such_strategy`)),
});

// The AI SDK with @ai-sdk/openai. It sends no fields that it does not know, so a strategy is named with the model.

import { createOpenAI } from "@ai-sdk/openai";
import { answer, secondTurn, stream } from "./ai_sdk.mjs";
import { apiKey, baseURL, model, tell } from "./aspects.mjs";

const openai = createOpenAI({ apiKey, baseURL });

await tell({
  answer: () => answer(openai.chat(model)),
  stream: () => stream(openai.chat(model)),
  strategy: () => answer(openai.chat(`${model}:self_consistency`)),
  strategy_stream: () => stream(openai.chat(`${model}:self_consistency`)),
  second_turn: () => secondTurn(openai.chat(`${model}:self_consistency`), {}, openai.chat(model)),
  responses: () => answer(openai(model)), // posts to /v1/responses, as its default is
  responses_stream: () => stream(openai(model)),
  responses_vote: () => answer(openai(`${model}:self_consistency`)),
  responses_error: () => answer(openai(`${model}:no_such_strategy`)),
  error: () => answer(openai.chat(`${model}:no_such_strategy`)),
  error_stream: () => stream(openai.chat(`${model}:no_such_strategy`)),
});

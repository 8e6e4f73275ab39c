// The AI SDK with @ai-sdk/openai-compatible.

import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { extractReasoningMiddleware, wrapLanguageModel } from "ai";
import { answer, secondTurn, stream } from "./ai_sdk.mjs";
import { apiKey, baseURL, fields, model, tell, unknown, vote } from "./aspects.mjs";

const ponder = createOpenAICompatible({ name: "ponder", apiKey, baseURL })(model);
const apart = wrapLanguageModel({ model: ponder, middleware: extractReasoningMiddleware({ tagName: "think" }) });

await tell({
  answer: () => answer(ponder),
  stream: () => stream(ponder),
  strategy: () => answer(ponder, { ponder: vote }),
  strategy_stream: () => stream(ponder, { ponder: vote }),
  fields: () => answer(ponder, { ponder: fields }),
  fields_stream: () => stream(ponder, { ponder: fields }),
  middleware: () => answer(apart, { ponder: vote }),
  middleware_stream: () => stream(apart, { ponder: vote }),
  second_turn: () => secondTurn(ponder, { ponder: vote }),
  second_turn_with_fields: () => secondTurn(ponder, { ponder: fields }),
  error: () => answer(ponder, { ponder: unknown }),
  error_stream: () => stream(ponder, { ponder: unknown }),
});

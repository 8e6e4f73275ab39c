// The AI SDK with @ai-sdk/openai-compatible.

import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { answer, stream } from "./ai_sdk.mjs";
import { apiKey, baseURL, fields, model, tell, unknown, vote } from "./aspects.mjs";

const ponder = createOpenAICompatible({ name: "ponder", apiKey, baseURL })(model);

await tell({
  answer: () => answer(ponder),
  stream: () => stream(ponder),
  strategy: () => answer(ponder, { ponder: vote }),
  strategy_stream: () => stream(ponder, { ponder: vote }),
  fields: () => answer(ponder, { ponder: fields }),
  fields_stream: () => stream(ponder, { ponder: fields }),
  error: () => answer(ponder, { ponder: unknown }),
  error_stream: () => stream(ponder, { ponder: unknown }),
});

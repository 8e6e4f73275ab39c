// What is the same for every provider of the AI SDK.

import { generateText, streamText } from "ai";
import { again, question } from "./aspects.mjs";

export async function answer(model, providerOptions = {}) {
  const { text, reasoningText } = await generateText({ model, prompt: question, providerOptions, maxRetries: 0 });
  return { content: text, reasoning: reasoningText ?? null };
}

export async function secondTurn(model, providerOptions = {}, then = model) {
  const messages = [{ role: "user", content: question }];
  const first = await generateText({ model, messages, providerOptions, maxRetries: 0 });
  const asked = [...messages, ...first.response.messages, again];
  return { content: (await generateText({ model: then, messages: asked, maxRetries: 0 })).text };
}

// An error in a stream is one of its parts.
export async function stream(model, providerOptions = {}) {
  const pieces = [];
  let reasoning = "";
  const given = { model, prompt: question, providerOptions, maxRetries: 0, onError() {} };
  for await (const part of streamText(given).fullStream) {
    if (part.type === "text-delta") pieces.push(part.text);
    if (part.type === "reasoning-delta") reasoning += part.text;
    if (part.type === "error") throw part.error;
  }
  return { pieces, reasoning };
}

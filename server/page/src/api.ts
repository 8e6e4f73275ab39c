/** The server's public API: what it offers, and the stream of a chat completion. */

import type { Told, Trace, TraceEvent } from "./run";

export interface Schema {
  type?: string;
  description?: string;
  default?: unknown;
  enum?: unknown[];
  anyOf?: Schema[];
  $ref?: string;
  minimum?: number;
  maximum?: number;
  properties?: Record<string, Schema>;
  required?: string[];
}

export interface Described {
  name: string;
  description: string;
  settings_schema: Schema;
}

export interface Offer {
  models: string[];
  strategies: Described[];
  verifiers: Described[];
}

/** A refusal. `again` is how many seconds to wait, where the server says so. */
export class Refusal extends Error {
  constructor(
    readonly status: number,
    message: string,
    readonly code?: string,
    readonly again?: number,
    readonly request?: string,
  ) {
    super(message);
  }
}

const KEY = "ponder-key";

export const key = {
  get: () => sessionStorage.getItem(KEY) ?? "",
  set: (value: string) => sessionStorage.setItem(KEY, value),
};

function headers(): Record<string, string> {
  return { "content-type": "application/json", ...(key.get() && { authorization: `Bearer ${key.get()}` }) };
}

async function refused(response: Response): Promise<Refusal> {
  const body = await response.json().catch(() => ({}));
  const again = Number(response.headers.get("retry-after")) || undefined;
  const { message = response.statusText, code } = body.error ?? {};
  return new Refusal(response.status, message, code, again, response.headers.get("x-request-id") ?? undefined);
}

/** Raises Refusal, with status 0 where the server cannot be reached. */
async function ask(path: string, init: RequestInit = {}): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(path, { ...init, headers: headers() });
  } catch (error) {
    if (init.signal?.aborted) throw error;
    throw new Refusal(0, "The server cannot be reached.");
  }
  if (!response.ok) throw await refused(response);
  return response;
}

async function list<T>(path: string): Promise<T[]> {
  return (await (await ask(path)).json()).data;
}

export async function offer(): Promise<Offer> {
  const [models, strategies, verifiers] = await Promise.all([
    list<{ id: string; parent: string | null }>("/v1/models"),
    list<Described>("/v1/strategies"),
    list<Described>("/v1/verifiers"),
  ]);
  return { models: models.filter((model) => !model.parent).map((model) => model.id), strategies, verifiers };
}

/** Ask, and hand over all that is told while it is told. Ends with the stream; raises Refusal where that failed. */
export async function chat(body: object, signal: AbortSignal, tell: (told: Told) => void): Promise<void> {
  const response = await ask("/v1/chat/completions", { method: "POST", body: JSON.stringify(body), signal });
  for await (const data of events(response.body!)) {
    if (data === "[DONE]") return;
    const chunk = JSON.parse(data);
    if (chunk.error) throw new Refusal(chunk.error.status ?? 200, chunk.error.message, chunk.error.code);
    tell(told(chunk));
  }
  throw new Refusal(0, "The connection ended before the answer did.");
}

interface Chunk {
  choices: { delta: { content?: string } }[];
  ponder?: TraceEvent | Trace;
}

function told(chunk: Chunk): Told {
  const { ponder } = chunk;
  return {
    content: chunk.choices[0]?.delta.content,
    event: ponder && "event" in ponder ? ponder : undefined,
    trace: ponder && "plan" in ponder ? ponder : undefined,
  };
}

/** The data of server-sent events (WHATWG HTML, 9.2), one line each as this server writes them. */
async function* events(stream: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  const reader = stream.getReader();
  const decoder = new TextDecoder();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const parts = (rest + decoder.decode(value, { stream: true })).split("\n\n");
    rest = parts.pop()!;
    for (const part of parts) if (part.startsWith("data: ")) yield part.slice("data: ".length);
  }
}

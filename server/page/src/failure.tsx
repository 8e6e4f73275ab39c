import { useEffect, useState } from "preact/hooks";
import type { Refusal } from "./api";
import { ask } from "./store";

const TITLES: Record<number, string> = {
  0: "No connection",
  200: "The search broke off",
  400: "The server does not take this request",
  401: "The server wants a key",
  403: "This key may not do that",
  404: "There is no such model",
  413: "The question is too long",
  429: "The quota is used up",
  500: "The server made a mistake",
  502: "The engine failed",
  503: "No engine answers",
  504: "The engine was silent for too long",
};

/** Why a search failed, and when it is worth trying again. */
export function Failure({ refusal }: { refusal: Refusal }) {
  const left = useCountdown(refusal.again ?? 0);
  return (
    <section class="failure" role="alert">
      <h3>{refusal.code === "overloaded" ? "Too many requests wait" : (TITLES[refusal.status] ?? "The request failed")}</h3>
      <p>{refusal.message}</p>
      <footer>
        {refusal.status > 0 && refusal.status !== 200 && <code>{refusal.status}</code>}
        {refusal.request && <code>{refusal.request}</code>}
        <button class="quiet" onClick={ask} disabled={left > 0}>
          {left > 0 ? `Try again in ${left} s` : "Try again"}
        </button>
      </footer>
    </section>
  );
}

function useCountdown(seconds: number): number {
  const [left, setLeft] = useState(Math.ceil(seconds));
  useEffect(() => {
    if (left <= 0) return;
    const timer = setTimeout(() => setLeft(left - 1), 1000);
    return () => clearTimeout(timer);
  }, [left]);
  return left;
}

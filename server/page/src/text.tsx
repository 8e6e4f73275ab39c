import { useLayoutEffect, useRef } from "preact/hooks";
import { render, renderAnswer } from "./markup";

/** A model's text, rendered: Markdown and math. */
export function Rendered({ text }: { text: string }) {
  const element = useRef<HTMLDivElement>(null);
  useLayoutEffect(() => render(element.current!, text), [text]);
  return <div ref={element} class="rendered" />;
}

/** An answer on one line. */
export function Short({ answer }: { answer: string }) {
  const element = useRef<HTMLSpanElement>(null);
  useLayoutEffect(() => renderAnswer(element.current!, answer), [answer]);
  return <span ref={element} class="short" />;
}

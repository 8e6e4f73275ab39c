/** Model text as elements: Markdown without HTML, pictures or links, and TeX. What a model writes is never parsed as markup of ours. */

import katex from "katex";
import MarkdownIt from "markdown-it";

const markdown = new MarkdownIt({ html: false, linkify: false, breaks: true }).disable(["image", "link", "autolink"]);

/** TeX between \[ \], $$ $$, \( \) or $ $; and a \boxed{…} that stands alone, as models love to write it. */
const MATH =
  /\\\[([\s\S]+?)\\\]|\$\$([\s\S]+?)\$\$|\\\(([\s\S]+?)\\\)|\$((?:\S|\S[^$\n]*?\S))\$(?!\d)|(\\boxed\{(?:[^{}]|\{[^{}]*\})*\})/g;
/** A sign that no model writes, around the number of a formula while Markdown is rendered. */
const MARK = "\uE000";
const LONGEST = 100_000;

interface Formula {
  tex: string;
  display: boolean;
}

/** Fill an element with text, rendered. KaTeX builds elements (its markup would need inline styles). */
export function render(element: HTMLElement, text: string): void {
  const formulas: Formula[] = [];
  const held = text
    .slice(0, LONGEST)
    .replaceAll(MARK, "")
    .replace(MATH, (_, display, dollars, inline, dollar, boxed) => {
      formulas.push({ tex: display ?? dollars ?? inline ?? dollar ?? boxed, display: Boolean(display ?? dollars) });
      const mark = `${MARK}${formulas.length - 1}${MARK}`;
      return display ?? dollars ? `\n\n${mark}\n\n` : mark;
    });
  element.innerHTML = markdown.render(held.replace(/<\/?(answer|think)>/g, ""));
  const walker = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
  const texts: Text[] = [];
  while (walker.nextNode()) texts.push(walker.currentNode as Text);
  for (const node of texts) if (node.data.includes(MARK)) node.replaceWith(...parts(node.data, formulas));
}

/** An answer on one line: as TeX where it looks like it. */
export function renderAnswer(element: HTMLElement, answer: string): void {
  const tex = /\\[a-zA-Z]|[\^_]\{?\w/.test(answer);
  element.replaceChildren(tex ? formula({ tex: answer, display: false }) : answer);
}

function parts(data: string, formulas: Formula[]): (Node | string)[] {
  return data.split(MARK).map((part, index) => (index % 2 ? formula(formulas[Number(part)]!) : part));
}

function formula({ tex, display }: Formula): HTMLElement {
  const element = document.createElement("span");
  const careful = { throwOnError: false, strict: "ignore", trust: false, maxExpand: 100, maxSize: 20 } as const;
  katex.render(tex, element, { ...careful, displayMode: display });
  return element;
}

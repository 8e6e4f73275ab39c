/** TeX for a line of plain text, where there is no room to render it: its commonest commands as characters. */

const SIGNS: Record<string, string> = {
  cdot: "·",
  times: "×",
  div: "÷",
  pm: "±",
  le: "≤",
  leq: "≤",
  ge: "≥",
  geq: "≥",
  neq: "≠",
  approx: "≈",
  cap: "∩",
  cup: "∪",
  in: "∈",
  sum: "∑",
  infty: "∞",
  pi: "π",
  lfloor: "⌊",
  rfloor: "⌋",
  ldots: "…",
  dots: "…",
  to: "→",
  implies: "⇒",
  qquad: " ",
  quad: " ",
  left: "",
  right: "",
};

export function plain(text: string): string {
  return text
    .replace(/\\[dt]?frac\{([^{}]*)\}\{([^{}]*)\}/g, "$1/$2")
    .replace(/\\(?:boxed|text|mathrm|mathbf|operatorname|sqrt)\{([^{}]*)\}/g, (all, inner) =>
      all.startsWith("\\sqrt") ? `√(${inner})` : inner,
    )
    .replace(/\\([a-zA-Z]+)/g, (all, name) => SIGNS[name] ?? all)
    .replace(/\\[()[\],;! ]|\$/g, "")
    .replace(/\*\*/g, "")
    .replace(/\s*\n\s*/g, " ");
}

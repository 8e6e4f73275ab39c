/** Light or dark: as the system says, until somebody chooses. */

import { effect, signal } from "@preact/signals";

type Theme = "light" | "dark";
const CHOSEN = "ponder-theme";
const system = matchMedia("(prefers-color-scheme: dark)");
const preferred = (): Theme => (localStorage.getItem(CHOSEN) as Theme) ?? (system.matches ? "dark" : "light");

export const theme = signal<Theme>(preferred());
system.addEventListener("change", () => (theme.value = preferred()));
effect(() => {
  document.documentElement.dataset.theme = theme.value;
});

export function turn(): void {
  theme.value = theme.value === "dark" ? "light" : "dark";
  localStorage.setItem(CHOSEN, theme.value);
}

import { Store } from "./api/store";

export type Theme = "auto" | "light" | "dark";

const KEY = "positron-theme";
const dark = matchMedia("(prefers-color-scheme: dark)");

export const theme = new Store<Theme>(stored());

function stored(): Theme {
  const kept = localStorage.getItem(KEY);
  return kept === "light" || kept === "dark" ? kept : "auto";
}

function apply(): void {
  const is = theme.value === "auto" ? (dark.matches ? "dark" : "light") : theme.value;
  document.documentElement.dataset.theme = is;
}

export function chooseTheme(next: Theme): void {
  localStorage.setItem(KEY, next);
  theme.value = next;
}

theme.watch(apply);
dark.addEventListener("change", apply);
apply();

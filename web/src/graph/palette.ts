/** The colours of pictures: those of the style sheet. */

export interface Palette {
  ground: string;
  text: string;
  muted: string;
  faint: string;
  line: string;
  accent: string;
  good: string;
  warn: string;
  bad: string;
  edge: string;
  heard: string;
  font: string;
}

export function palette(): Palette {
  const style = getComputedStyle(document.documentElement);
  const read = (name: string) => style.getPropertyValue(name).trim();
  return {
    ground: read("--panel"),
    text: read("--text"),
    muted: read("--muted"),
    faint: read("--faint"),
    line: read("--line"),
    accent: read("--accent"),
    good: read("--good"),
    warn: read("--warn"),
    bad: read("--bad"),
    edge: read("--edge"),
    heard: read("--heard"),
    font: read("--sans"),
  };
}

const dark = matchMedia("(prefers-color-scheme: dark)");

/** Calls `wake` when the theme changed. Returns how to stop that. */
export function whenThemeChanges(wake: () => void): () => void {
  const watcher = new MutationObserver(wake);
  watcher.observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
  dark.addEventListener("change", wake);
  return () => {
    watcher.disconnect();
    dark.removeEventListener("change", wake);
  };
}

export function wantsLessMotion(): boolean {
  return matchMedia("(prefers-reduced-motion: reduce)").matches;
}

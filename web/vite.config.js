import { defineConfig } from "vite";

// What is served is a folder of plain files with names made from their contents. Nothing is inlined:
// the page runs under `default-src 'self'`, which forbids `data:` addresses as well.
export default defineConfig({
  base: "./",
  build: {
    target: "es2022",
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    cssCodeSplit: false,
    reportCompressedSize: false,
  },
  worker: { format: "es" },
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
});

import { Store } from "./api/store";

/** The view is named by the fragment: `#/peers`, `#/peers/<id>`. */
export const route = new Store<string[]>(read());

function read(): string[] {
  return location.hash
    .replace(/^#\/?/, "")
    .split("/")
    .filter((part) => part !== "")
    .map((part) => {
      try {
        return decodeURIComponent(part);
      } catch {
        return part;
      }
    });
}

window.addEventListener("hashchange", () => {
  route.value = read();
});

export function go(...parts: string[]): void {
  location.hash = `#/${parts.map(encodeURIComponent).join("/")}`;
}

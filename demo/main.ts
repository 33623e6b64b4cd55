import { keepOffline } from "../src/browser/offline.ts";
import { TvixStoreViewer } from "../src/elements/index.ts";
import { openStore } from "../src/index.ts";

const viewer = document.querySelector("tvix-store-viewer");
if (!(viewer instanceof TvixStoreViewer)) throw new Error("the page has no viewer");

viewer.sample = new URL("sample/", document.baseURI).href;
// If a daemon serves this page, sync with that daemon.
viewer.daemon = location.origin;
viewer.addEventListener("tvix-navigate", (event) => {
  const { title } = (event as CustomEvent<{ title: string }>).detail;
  document.title = title ? `${title} - Nix store` : "Nix store";
});

const shell = keepOffline(new URL("sw.js", document.baseURI), (state) => {
  viewer.offline = state;
});
viewer.addEventListener("tvix-update", () => shell.update());

try {
  const store = await openStore("main", {
    onProgress({ phase }) {
      if (phase === "waiting for another tab")
        viewer.fault = "Another tab has an older version of this page open. Close or reload that tab to continue here.";
    },
  });
  viewer.fault = undefined;
  viewer.store = store;
  // Ask the browser to keep the store once the reader has brought something here, because the
  // browser may ask the reader in turn. Changes by other tabs are no reason to ask.
  const brought = new AbortController();
  for (const event of ["tvix-imported", "tvix-pulled"]) {
    const ask = (): void => {
      brought.abort();
      void store.persist();
    };
    viewer.addEventListener(event, ask, { signal: brought.signal });
  }
} catch (error) {
  viewer.fault = `The store can't be opened: ${error instanceof Error ? error.message : String(error)}`;
}

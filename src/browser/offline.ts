/** Whether the page's own files are kept for use without a network. */
export type OfflineState =
  /** Not yet, or the browser can't. */
  | "no"
  /** The page opens without a network from now on. */
  | "ready"
  /** And a newer version was fetched; `OfflineShell.update` changes to it. */
  | "update";

export interface OfflineShell {
  /** Changes to the newer version and reloads the page. */
  update(): void;
}

/**
 * Registers the service worker that keeps the page's files.
 *
 * @param onState called at each change, also when it becomes ready after a later visit's update
 */
export function keepOffline(scriptUrl: string | URL, onState: (state: OfflineState) => void): OfflineShell {
  let waiting: ServiceWorker | undefined;
  const container = "serviceWorker" in navigator ? navigator.serviceWorker : undefined;
  const watch = async () => {
    if (!container) return;
    const registration = await container.register(scriptUrl, { updateViaCache: "none" });
    void container.ready.then(() => onState(waiting ? "update" : "ready"));
    const offer = () => {
      // Without a controller it is the first version, which has nothing to replace.
      if (!registration.waiting || !container.controller) return;
      waiting = registration.waiting;
      onState("update");
    };
    offer();
    registration.addEventListener("updatefound", () => registration.installing?.addEventListener("statechange", offer));
  };
  // A browser may forbid service workers, and a daemon may be down now: the page works all the same.
  watch().catch(() => onState("no"));
  return {
    update() {
      if (!waiting) return;
      container?.addEventListener("controllerchange", () => location.reload(), { once: true });
      waiting.postMessage("activate");
    },
  };
}

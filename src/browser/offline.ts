/** Whether the page's own files are kept for use without a network. */
export type OfflineState =
  /** Not kept yet, or the browser can't keep them. */
  | "no"
  /** The page opens without a network from now on. */
  | "ready"
  /**
   * The page opens without a network, and a newer version was fetched. `OfflineShell.update`
   * switches to it.
   */
  | "update";

export interface OfflineShell {
  /** Switches to the newer version and reloads the page. */
  update(): void;
}

/**
 * Registers the service worker that keeps the page's files.
 *
 * @param onState called with `ready` once the page opens without a network, with `update` when a
 *   newer version waits, and with `no` if the registration fails; never called in a browser without
 *   service workers
 */
export function keepOffline(scriptUrl: string | URL, onState: (state: OfflineState) => void): OfflineShell {
  let waiting: ServiceWorker | undefined;
  const container = "serviceWorker" in navigator ? navigator.serviceWorker : undefined;
  const watch = async () => {
    if (!container) return;
    const registration = await container.register(scriptUrl, { updateViaCache: "none" });
    void container.ready.then(() => onState(waiting ? "update" : "ready"));
    const offer = () => {
      // Without a controller, this is the first version, which replaces nothing.
      if (!registration.waiting || !container.controller) return;
      waiting = registration.waiting;
      onState("update");
    };
    offer();
    registration.addEventListener("updatefound", () => registration.installing?.addEventListener("statechange", offer));
  };
  // A browser may forbid service workers, and the server may be down now. The page works
  // nevertheless.
  watch().catch(() => onState("no"));
  return {
    update() {
      if (!waiting) return;
      container?.addEventListener("controllerchange", () => location.reload(), { once: true });
      waiting.postMessage("activate");
    },
  };
}

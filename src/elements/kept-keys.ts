import type { ReactiveController, ReactiveControllerHost } from "lit";
import { StoreError } from "../error.ts";
import { formatPublicKey, parsePublicKey, parsePublicKeys } from "../nix/key.ts";
import { describeFailure } from "./failure.ts";

const ITEM = "tvix-store-web.trusted-public-keys";

/** In this page; `storage` events tell of the others. */
const changes = new EventTarget();

/** What the browser did not want to store: kept for as long as the page is open. */
let unsaved: readonly string[] | undefined;

/** The public keys that this reader trusts, on any page of this origin: `name:base64` each, no two of one name. */
export function keptKeys(): readonly string[] {
  if (unsaved) return unsaved;
  try {
    return readable(localStorage.getItem(ITEM) ?? "");
  } catch {
    return [];
  }
}

/**
 * Keeps the keys that `text` has, separated by blanks, as Nix's `trusted-public-keys` does.
 *
 * @throws StoreError `invalid` for what is no key, and for another key of a name that is kept already; then nothing of it is kept
 */
export function keepKeys(text: string): void {
  const added = parsePublicKeys(text);
  if (added.length === 0) throw new StoreError("invalid", "there is no key");
  write(parsePublicKeys([...keptKeys(), ...added.map(formatPublicKey)]).map(formatPublicKey));
}

export function forgetKey(key: string): void {
  write(keptKeys().filter((kept) => kept !== key));
}

function write(keys: readonly string[]): void {
  try {
    localStorage.setItem(ITEM, keys.join(" "));
    unsaved = undefined;
  } catch (error) {
    console.warn(describeFailure(error));
    unsaved = keys;
  }
  changes.dispatchEvent(new Event("change"));
}

/** What else writes to this place may leave anything there: of that, what is a key, and the first of each name. */
function readable(stored: string): string[] {
  const found = new Map<string, string>();
  for (const text of stored.split(/\s+/)) {
    try {
      const { name } = parsePublicKey(text);
      if (!found.has(name)) found.set(name, text);
    } catch {
      // It was never kept by us.
    }
  }
  return [...found.values()];
}

/** The kept keys for an element, which is updated when they change, in another tab too. */
export class KeptKeys implements ReactiveController {
  /** Another array whenever they may have changed. */
  keys: readonly string[] = [];
  readonly #host: ReactiveControllerHost;

  constructor(host: ReactiveControllerHost) {
    this.#host = host;
    host.addController(this);
  }

  hostConnected(): void {
    changes.addEventListener("change", this.#changed);
    addEventListener("storage", this.#stored);
    this.#changed();
  }

  hostDisconnected(): void {
    changes.removeEventListener("change", this.#changed);
    removeEventListener("storage", this.#stored);
  }

  readonly #changed = (): void => {
    this.keys = keptKeys();
    this.#host.requestUpdate();
  };

  readonly #stored = ({ key }: StorageEvent): void => {
    // Without a name all of it was cleared.
    if (key === ITEM || key === null) this.#changed();
  };
}

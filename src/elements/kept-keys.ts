import type { ReactiveController, ReactiveControllerHost } from "lit";
import { StoreError } from "../error.ts";
import { formatPublicKey, parsePublicKey, parsePublicKeys } from "../nix/key.ts";
import { describeFailure } from "./failure.ts";

const ITEM = "tvix-store-web.trusted-public-keys";

/** Reports changes within this page. `storage` events report changes in other tabs. */
const changes = new EventTarget();

/** Keys that the browser refused to store. They last for as long as the page is open. */
let unsaved: readonly string[] | undefined;

/**
 * Public keys that the reader trusts, on all pages of this origin. Each is `name:base64`; no two
 * have the same name.
 */
export function keptKeys(): readonly string[] {
  if (unsaved) return unsaved;
  try {
    return readable(localStorage.getItem(ITEM) ?? "");
  } catch {
    return [];
  }
}

/**
 * Stores the keys in `text`. White space separates them, as in Nix's `trusted-public-keys`.
 *
 * @throws StoreError `invalid` if `text` has no key or a word that is no key, or if a stored key
 *   has the same name but another value; then stores none of the keys
 */
export function keepKeys(text: string): void {
  const added = parsePublicKeys(text);
  if (added.length === 0) throw new StoreError("invalid", "the text has no key");
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

/**
 * Parses stored keys. Other code of this origin may have written anything there, so this skips
 * words that are no key, and later keys of a name that was there before.
 */
function readable(stored: string): string[] {
  const found = new Map<string, string>();
  for (const text of stored.split(/\s+/)) {
    try {
      const { name } = parsePublicKey(text);
      if (!found.has(name)) found.set(name, text);
    } catch {
      // Some other code stored this word.
    }
  }
  return [...found.values()];
}

/** The stored keys for an element. Updates the element when they change, also in another tab. */
export class KeptKeys implements ReactiveController {
  /** The stored keys: a new array each time they may have changed. */
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
    // An event without a key means that all of `localStorage` was cleared.
    if (key === ITEM || key === null) this.#changed();
  };
}

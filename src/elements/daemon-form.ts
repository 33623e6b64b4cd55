import { css, html, type ReactiveController, type ReactiveControllerHost, type TemplateResult } from "lit";
import { connectRemote, type Remote } from "../browser/remote.ts";
import type { Store } from "../browser/store.ts";
import type { OperationOptions } from "../progress.ts";
import type { PathInfo } from "../store/path-info.ts";
import { type Protocol, recallDaemon, rememberDaemon } from "./remembered-daemon.ts";
import { plural } from "./size.ts";
import { Task } from "./task.ts";

/** Number of paths that arrive between two renderings of a remote's list. */
const LISTED_AT_ONCE = 500;

type FormHost = ReactiveControllerHost & HTMLElement & { readonly store: Store | undefined };

/**
 * A form with the address and the protocol of a daemon. It can ask the daemon for its store paths.
 */
export class DaemonForm implements ReactiveController {
  /** The daemon's path infos; undefined until it was asked. */
  paths: readonly PathInfo[] | undefined;
  readonly #host: FormHost;
  readonly #asking: () => void;
  readonly #listing: Task;
  #address = "";
  #protocol: Protocol = "connect";
  /** Whether the reader has changed the address. */
  #touched = false;

  /** @param asking called before the daemon is asked for its store paths */
  constructor(host: FormHost, asking: () => void) {
    this.#host = host;
    this.#asking = asking;
    this.#listing = new Task(host);
    host.addController(this);
  }

  hostConnected(): void {}

  /** Whether the daemon is being asked for its store paths. */
  get asks(): boolean {
    return this.#listing.running;
  }

  /**
   * Fills in the daemon that the reader used last, or else `address`. Changes nothing if the reader
   * has typed an address.
   */
  suggest(address: string): void {
    if (this.#touched) return;
    const daemon = recallDaemon() ?? { address, protocol: "connect" };
    this.#address = daemon.address;
    this.#protocol = daemon.protocol;
    this.#host.requestUpdate();
  }

  /**
   * Returns the daemon in the form, and remembers it for the next visit.
   *
   * @throws StoreError `invalid` if the address is not an `http:` or `https:` address
   */
  remote(): Remote {
    const remote = connectRemote(this.#address, { protocol: this.#protocol });
    rememberDaemon(this.#address, this.#protocol);
    return remote;
  }

  /** @param disabled whether the daemon can't be asked now */
  render(disabled: boolean): TemplateResult {
    return html`
      <form @submit=${this.#submit}>
        <div class="address">
          <label
            >Address of the daemon
            <input
              class="mono"
              type="url"
              name="address"
              required
              spellcheck="false"
              autocapitalize="off"
              .value=${this.#address}
              @input=${(event: InputEvent) => this.#type((event.target as HTMLInputElement).value)}
          /></label>
          <label
            >Protocol
            <select
              name="protocol"
              @change=${(event: Event) => {
                this.#protocol = (event.target as HTMLSelectElement).value === "grpc-web" ? "grpc-web" : "connect";
                this.#host.requestUpdate();
              }}
            >
              <option value="connect" ?selected=${this.#protocol === "connect"}>Connect</option>
              <option value="grpc-web" ?selected=${this.#protocol === "grpc-web"}>gRPC-Web</option>
            </select></label
          >
          <button type="submit" ?disabled=${disabled}>List paths</button>
        </div>
        ${this.#listing.render()}
      </form>
    `;
  }

  #type(address: string): void {
    this.#touched = true;
    this.#address = address;
    this.#listing.cancel();
    this.#show(undefined);
  }

  readonly #submit = async (event: SubmitEvent): Promise<void> => {
    event.preventDefault();
    const { store } = this.#host;
    if (!store) return;
    this.#asking();
    const [address, protocol] = [this.#address, this.#protocol];
    const list = async ({ signal, onProgress }: Required<OperationOptions>): Promise<string> => {
      const remote = connectRemote(address, { protocol });
      const found: PathInfo[] = [];
      for await (const info of store.remotePathInfos(remote, { signal })) {
        signal.throwIfAborted();
        found.push(info);
        if (found.length % LISTED_AT_ONCE !== 0) continue;
        onProgress({ phase: "paths", unit: "paths", loaded: found.length });
        this.#show([...found]);
      }
      signal.throwIfAborted();
      this.#show(found);
      rememberDaemon(address, protocol);
      return `The daemon has ${plural(found.length, "path")}.`;
    };
    await this.#listing.run("Asking the daemon", list, () =>
      this.paths ? "Cancelled. The list shows the paths that arrived by then." : "Cancelled.",
    );
  };

  #show(paths: readonly PathInfo[] | undefined): void {
    this.paths = paths;
    this.#host.requestUpdate();
  }
}

export const daemonFormStyle = css`
  form {
    display: grid;
    gap: 0.5rem;
  }
  .address {
    display: grid;
    grid-template-columns: minmax(0, 1fr) auto;
    align-items: end;
    gap: 0.5rem;
  }
  .address > :first-child {
    grid-column: 1 / -1;
  }
`;

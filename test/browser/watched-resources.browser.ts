import { watchPorts } from "../thread/watched-ports.ts";

/** What a thread holds of the platform: `left` lists everything that was not released. */
export interface WatchedResources {
  /** Number of objects of each kind that were acquired. */
  readonly acquired: Record<"worker" | "channel" | "database", number>;
  left(): Promise<string[]>;
  restore(): void;
}

/**
 * Records the workers, ports, channels, connections to databases and locks that this thread
 * acquires from now on.
 *
 * @param failing called before each step that acquires something or begins a transaction; an error
 *   that it throws is the error of the step
 */
export function watchResources(failing: (step: "worker" | "channel" | "database" | "transaction") => void): WatchedResources {
  const ports = watchPorts();
  const { Worker: PlainWorker, BroadcastChannel: PlainChannel } = globalThis;
  const { open } = IDBFactory.prototype;
  const { close, transaction } = IDBDatabase.prototype;
  const held = new Map<object, string>();
  const acquired = { worker: 0, channel: 0, database: 0 };
  const hold = (kind: keyof typeof acquired, resource: object): void => {
    acquired[kind]++;
    held.set(resource, kind);
  };
  globalThis.Worker = class extends PlainWorker {
    constructor(...args: ConstructorParameters<typeof PlainWorker>) {
      failing("worker");
      super(...args);
      hold("worker", this);
    }
    override terminate(): void {
      held.delete(this);
      super.terminate();
    }
  };
  globalThis.BroadcastChannel = class extends PlainChannel {
    constructor(name: string) {
      failing("channel");
      super(name);
      hold("channel", this);
    }
    override close(): void {
      held.delete(this);
      super.close();
    }
  };
  IDBFactory.prototype.open = function (...args) {
    failing("database");
    const request = open.apply(this, args);
    request.addEventListener("success", () => hold("database", request.result));
    return request;
  };
  IDBDatabase.prototype.transaction = function (...args) {
    failing("transaction");
    return transaction.apply(this, args);
  };
  IDBDatabase.prototype.close = function () {
    held.delete(this);
    close.call(this);
  };
  return {
    acquired,
    async left() {
      const { held: locks = [], pending = [] } = (await navigator.locks?.query()) ?? {};
      const names = [...locks, ...pending].map(({ name }) => name ?? "").filter((name) => /^tvix-store-web:(?!worker:)/.test(name));
      return [...held.values(), ...ports.open().map(() => "port"), ...names];
    },
    restore() {
      ports.restore();
      globalThis.Worker = PlainWorker;
      globalThis.BroadcastChannel = PlainChannel;
      Object.assign(IDBFactory.prototype, { open });
      Object.assign(IDBDatabase.prototype, { close, transaction });
    },
  };
}

/** Throws at the call number `count`, from 0, of the step `kind`. */
export function failAt(kind: string, count: number): { failing: (step: string) => void; hasFailed(): boolean } {
  let calls = 0;
  return {
    failing(step) {
      if (step === kind && calls++ === count) throw new DOMException(`${kind} ${count} failed`, "UnknownError");
    },
    hasFailed: () => calls > count,
  };
}

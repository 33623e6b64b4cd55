// The names of these types are available in browsers only.
type AnyChannel = InstanceType<typeof MessageChannel>;
type AnyPort = InstanceType<typeof MessagePort>;

/**
 * Records the message channels that are made from now on, and which of their ports are closed.
 * `restore` ends the recording.
 */
export function watchPorts(): { readonly made: readonly AnyChannel[]; open(): AnyChannel[]; restore(): void } {
  const made: AnyChannel[] = [];
  const closed = new Set<AnyPort>();
  const [Channel, { close }] = [globalThis.MessageChannel, MessagePort.prototype];
  globalThis.MessageChannel = class extends Channel {
    constructor() {
      super();
      made.push(this);
    }
  };
  MessagePort.prototype.close = function () {
    closed.add(this);
    close.call(this);
  };
  return {
    made,
    // The second ports were transferred to another thread.
    open: () => made.filter(({ port1 }) => !closed.has(port1)),
    restore() {
      globalThis.MessageChannel = Channel;
      MessagePort.prototype.close = close;
    },
  };
}

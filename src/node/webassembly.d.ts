/**
 * The part of WebAssembly that the kernel uses. Node has it, but the types of Node 20 leave it to
 * the types of browsers.
 */
declare namespace WebAssembly {
  class Module {
    constructor(code: Uint8Array<ArrayBuffer>);
  }
  class Instance {
    constructor(module: Module, imports?: object);
    readonly exports: Readonly<Record<string, unknown>>;
  }
  class Memory {
    readonly buffer: ArrayBuffer;
    grow(pages: number): number;
  }
  function validate(code: Uint8Array<ArrayBuffer>): boolean;
  function instantiate(code: Uint8Array<ArrayBuffer>, imports?: object): Promise<{ instance: Instance }>;
}

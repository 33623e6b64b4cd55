import { viewOf } from "../bytes.ts";
import { arm64Filter, armFilter, armThumbFilter, ia64Filter, powerPcFilter, sparcFilter } from "./branch-filters.ts";
import { DeltaFilter } from "./delta-filter.ts";
import { RiscvFilter } from "./riscv-filter.ts";
import { X86Filter } from "./x86-filter.ts";
import { type XzFilter, XzFilterChain } from "./xz-filter.ts";
import type { FilterFlags } from "./xz-headers.ts";

const LZMA2 = 0x21;
const DELTA = 0x03;

interface BranchFilter {
  /** A start position is a multiple of this. */
  readonly alignment: number;
  readonly create: () => XzFilter;
}

/** The filters for machine code, by their id. */
const BRANCH_FILTERS: Readonly<Record<number, BranchFilter>> = {
  4: { alignment: 1, create: () => new X86Filter() },
  5: { alignment: 4, create: powerPcFilter },
  6: { alignment: 16, create: ia64Filter },
  7: { alignment: 4, create: armFilter },
  8: { alignment: 2, create: armThumbFilter },
  9: { alignment: 4, create: sparcFilter },
  10: { alignment: 4, create: arm64Filter },
  11: { alignment: 2, create: () => new RiscvFilter() },
};

export interface BlockFilters {
  /** Size of the LZMA2 dictionary in bytes. */
  readonly dictionarySize: number;
  /** The other filters, as they are applied after LZMA2. */
  readonly chain: XzFilterChain;
}

/**
 * Makes the filters of a block.
 *
 * @param flags in the encoder's order
 * @throws Error if a filter is not known, or its properties are not right
 */
export function blockFilters(flags: readonly FilterFlags[]): BlockFilters {
  const [last, ...others] = flags.toReversed();
  if (last?.id !== LZMA2) throw unknown(last?.id ?? 0);
  const [dictionary = 0] = last.properties;
  if (last.properties.length !== 1 || dictionary > 40) throw new Error("a block has a dictionary of no known size");
  const chain = new XzFilterChain();
  for (const { id, properties } of others) {
    if (id === DELTA) {
      if (properties.length !== 1) throw wrong(id);
      chain.add(new DeltaFilter((properties[0] as number) + 1));
      continue;
    }
    const filter = BRANCH_FILTERS[id];
    if (!filter) throw unknown(id);
    if (properties.length !== 0 && properties.length !== 4) throw wrong(id);
    const start = properties.length === 4 ? viewOf(properties).getUint32(0, true) : 0;
    if (start % filter.alignment !== 0) throw wrong(id);
    chain.add(filter.create(), start);
  }
  return { dictionarySize: dictionarySizeOf(dictionary), chain };
}

/** Sizes are 2^n and 3 * 2^n bytes, from 4 KiB on; the last one is 4 GiB less a byte. */
function dictionarySizeOf(coded: number): number {
  return coded === 40 ? 2 ** 32 - 1 : (2 | (coded & 1)) * 2 ** ((coded >> 1) + 11);
}

function unknown(id: number): Error {
  return new Error(`it uses the filter ${id}, which can't be read here`);
}

function wrong(id: number): Error {
  return new Error(`it uses the filter ${id} with properties that are not known`);
}

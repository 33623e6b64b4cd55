import { Ajv, type AnySchema } from "ajv";

/**
 * Our own version of the JSON schemas in the manual of Nix (doc/manual/source/protocols/json/schema
 * of 2.34 and 2.35): store-object-info-v2 and -v3, derivation-v4, and the schemas that these refer
 * to. Nix publishes no schema for format 1 of store object infos. Ours describes the output of Nix
 * 2.34.
 */

const STORE_PATH = { type: "string", pattern: "^[0123456789abcdfghijklmnpqrsvwxyz]{32}-.+$", minLength: 34 };
const ABSOLUTE_PATH = { type: "string", pattern: "^/nix/store/[0123456789abcdfghijklmnpqrsvwxyz]{32}-.+$" };
const HASH = { type: "string", pattern: "^(blake3|md5|sha1|sha256|sha512)-[A-Za-z0-9+/]+=*$" };
const ALGORITHM = { enum: ["blake3", "md5", "sha1", "sha256", "sha512"] };
const METHOD = { enum: ["flat", "nar", "text", "git"] };
const SIZE = { type: "integer", minimum: 0 };

function object(required: Record<string, unknown>, optional: Record<string, unknown> = {}): AnySchema {
  return {
    type: "object",
    properties: { ...required, ...optional },
    required: Object.keys(required),
    additionalProperties: false,
  };
}

function nullable(schema: unknown): unknown {
  return { oneOf: [{ type: "null" }, schema] };
}

const CONTENT_ADDRESS = object({ method: METHOD, hash: HASH });
const SIGNATURE = object({ keyName: { type: "string" }, sig: { type: "string" } });

function storeObjectInfo(version: number, path: unknown, ca: unknown, signature: unknown): AnySchema {
  return object(
    {
      version: { const: version },
      narHash: HASH,
      narSize: SIZE,
      references: { type: "array", items: path },
      ca: nullable(ca),
      storeDir: { type: "string" },
      deriver: nullable(path),
      registrationTime: { type: ["integer", "null"] },
      ultimate: { type: "boolean" },
      signatures: { type: "array", items: signature },
    },
    { path, closureSize: SIZE },
  );
}

function framed(version: number, info: AnySchema): AnySchema {
  const infos = { type: "object", propertyNames: STORE_PATH, additionalProperties: info };
  return object({ version: { const: version }, storeDir: { type: "string" }, info: infos });
}

const TEXT = { type: "string" };

/** Schemas for the output of `nix path-info --json --json-format N`. */
export const PATH_INFO_SCHEMAS: Readonly<Record<1 | 2 | 3, AnySchema>> = {
  1: { type: "object", propertyNames: ABSOLUTE_PATH, additionalProperties: storeObjectInfo(1, ABSOLUTE_PATH, TEXT, TEXT) },
  2: framed(2, storeObjectInfo(2, STORE_PATH, CONTENT_ADDRESS, TEXT)),
  3: framed(3, storeObjectInfo(3, STORE_PATH, CONTENT_ADDRESS, SIGNATURE)),
};

const OUTPUT = {
  oneOf: [
    object({ path: STORE_PATH }),
    CONTENT_ADDRESS,
    object({ method: METHOD, hashAlgo: ALGORITHM }),
    object({}),
    object({ method: METHOD, hashAlgo: ALGORITHM, impure: { const: true } }),
  ],
};

const NAMES = { type: "array", items: TEXT };
const INPUT = object({ outputs: NAMES, dynamicOutputs: { type: "object" } });

/** Schema of one derivation in the output of `nix derivation show` of Nix 2.33 and later. */
export const DERIVATION_SCHEMA: AnySchema = object(
  {
    name: TEXT,
    version: { const: 4 },
    outputs: { type: "object", additionalProperties: OUTPUT },
    system: TEXT,
    builder: TEXT,
    args: { type: "array", items: TEXT },
    env: { type: "object", additionalProperties: TEXT },
    inputs: object({
      srcs: { type: "array", items: STORE_PATH },
      drvs: {
        type: "object",
        propertyNames: { pattern: `^[0123456789abcdfghijklmnpqrsvwxyz]{32}-.+\\.drv$` },
        additionalProperties: { oneOf: [NAMES, INPUT] },
      },
    }),
  },
  { structuredAttrs: { type: "object" } },
);

const ajv = new Ajv({ allErrors: true, allowUnionTypes: true });

/** Returns the faults of `json`. Empty if it follows the schema. */
export function schemaErrors(schema: AnySchema, json: unknown): string[] {
  const validate = ajv.compile(schema);
  // A round trip through JSON gives the value that other programs read.
  validate(JSON.parse(JSON.stringify(json)));
  return (validate.errors ?? []).map(({ instancePath, message }) => `${instancePath} ${message}`);
}

/** Content of the suites, for the other tests. */
export { pseudoRandom, readAll } from "../../src/conformance/content.ts";

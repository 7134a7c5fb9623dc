/** Loops in wasm, for what is measured without JavaScript: they call the exports of another module, as they are. */
import wabt from "wabt";

const TEXT = `(module
  (import "pool" "get" (func $get (param i32) (result i32)))
  (import "pool" "put" (func $put (param i32 i32) (result i32)))
  (func (export "pairs") (param $self i32) (param $count i32) (result i32)
    (local $right i32) (local $handle i32)
    (loop $again
      (local.set $handle (call $get (local.get $self)))
      (local.set $right (i32.add (local.get $right) (i32.gt_s (local.get $handle) (i32.const 0))))
      (drop (call $put (local.get $self) (local.get $handle)))
      (br_if $again (local.tee $count (i32.sub (local.get $count) (i32.const 1)))))
    (local.get $right)))`;

/** How many of so many pairs of get and put got something. */
export type Pairs = (self: number, count: number) => number;

export async function loopsInWasm(): Promise<Uint8Array<ArrayBuffer>> {
  const { parseWat } = await wabt();
  const module = parseWat("loops.wat", TEXT);
  try {
    return Uint8Array.from(module.toBinary({}).buffer);
  } finally {
    module.destroy();
  }
}

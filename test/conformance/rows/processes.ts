import { ANY, o, type Section, SPAPR } from "../row.ts";
import * as from from "./sources.ts";

/**
 * A second process that has the descriptors too: a child after a fork, or a program that was handed them. What it answers
 * is in the row as `there`.
 */
export const processes: Section = {
  call: "a second process (sPAPR)",
  begin: "container",
  // biome-ignore format: a table is read by its columns
  rows: [
    ["nobody used the container yet: GET_INFO there", SPAPR, o(from.tceIoctl), "0", (p) => p.elsewhere("GET_INFO"), { process: true }],
    ["nobody used the container yet: MAP, UNMAP, UNREGISTER there", SPAPR, o(from.tceIoctl), "EPERM, EPERM, EPERM", (p) => [p.elsewhere("MAP"), p.elsewhere("UNMAP"), p.elsewhere("UNREGISTER")], { process: true }],
    ["REGISTER here; then GET_INFO there", SPAPR, o(from.tceMm), "0, EPERM", (p) => [p.register(p.va, p.page), p.elsewhere("GET_INFO")], { process: true }],
    ["REGISTER here; then REGISTER there", SPAPR, o(from.tceMm), "0, EPERM", (p) => [p.register(p.va, p.page), p.elsewhere("REGISTER")], { process: true }],
    ["REGISTER here; then UNREGISTER there", SPAPR, o(from.tceMm), "0, EPERM", (p) => [p.register(p.va, p.page), p.elsewhere("UNREGISTER")], { process: true }],
    ["REGISTER here; then MAP, UNMAP there", SPAPR, o(from.tceMm), "0, EPERM, EPERM", (p) => [p.register(p.va, p.page), p.elsewhere("MAP"), p.elsewhere("UNMAP")], { process: true }],
    ["REGISTER here; then CREATE, REMOVE there", SPAPR, o(from.tceMm), "0, EPERM, EPERM", (p) => [p.register(p.va, p.page), p.elsewhere("CREATE"), p.elsewhere("REMOVE")], { process: true }],
    ["CREATE here; then GET_INFO there", SPAPR, o(from.tceMm), "0, EPERM", (p) => [p.create(16, 2n ** 31n), p.elsewhere("GET_INFO")], { process: true }],
    ["a REMOVE here that failed; then GET_INFO there", SPAPR, o(from.tceMm), "EINVAL, EPERM", (p) => [p.remove(1n), p.elsewhere("GET_INFO")], { process: true }],
    ["GET_INFO here; then REGISTER there: it is that process's", SPAPR, o(from.tceMm), "0, 0, EPERM", (p) => [p.info(), p.elsewhere("REGISTER"), p.register(p.va, p.page)], { process: true }],
    ["REGISTER there, and it has ended: its container still", SPAPR, o(from.tceMm), "0, EPERM, EPERM", (p) => [p.elsewhere("REGISTER"), p.register(p.va, p.page), p.info()], { process: true }],
    ["what is charged there is not charged here", SPAPR, o(from.accountLocked), "0, VmLck +0", (p) => [p.elsewhere("REGISTER"), p.charged()], { process: true }],
    ["CHECK_EXTENSION of a container that is another's", SPAPR, o(from.tceIoctl), "0, 1", (p) => [p.register(p.va, p.page), p.elsewhere("CHECK_EXTENSION 7")], { process: true }],
    ["UNSET_CONTAINER there: it belongs to nobody", SPAPR, o(from.unsetContainer), "0, 0, EINVAL, VmLck +0", (p) => [p.register(p.va, p.page), p.elsewhere("UNSET_CONTAINER"), p.unmap(0n, p.page), p.charged()], { process: true }],
    ["both descriptors closed there: nothing changes here", ANY, o("fs/file_table.c: __fput"), "0, 0, 0", (p) => [p.elsewhere("close both"), p.unset()], { process: true }],
  ],
};

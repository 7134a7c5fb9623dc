// What Node has from 20.16 on, for the newest build for POWER that npm has: 20.11.
process.getBuiltinModule ??= require;

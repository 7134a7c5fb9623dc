// Calls back, from a library or from an object that is linked with the program.
static volatile int calls;

static __attribute__((noinline)) void inside(void (*function)(void)) {
  function();
  calls++;
}

void called_back(void (*function)(void)) {
  inside(function);
  calls++;
}

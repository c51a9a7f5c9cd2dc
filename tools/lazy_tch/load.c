/* Loads libtch.so, and with it libtorch, when the first of its functions is called. `build` makes the functions' stubs. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Names of the functions in the order of their slots, each with its final zero; behind the last an empty one. */
extern const char tch_lazy_names[];
extern void *tch_lazy_slots[];
/* The same of the functions that libtch.so calls back, and where the program has them. */
extern const char tch_lazy_callbacks[];
extern void *tch_lazy_callback_slots[];

static void fail(const char *fault) {
  fprintf(stderr,
          "illume: libtorch cannot be loaded: %s; `tools/setup torch` gets it, or let LD_LIBRARY_PATH name the folders of libtch.so "
          "and of libtorch_cpu.so\n",
          fault ? fault : "unknown fault");
  _exit(2);
}

static void load(void) {
  void *library = dlopen("libtch.so", RTLD_NOW | RTLD_GLOBAL);
  if (!library) fail(dlerror());
  void **callbacks = dlsym(library, "tch_lazy_callback_slots");
  if (!callbacks) fail(dlerror());
  size_t slot = 0;
  for (const char *name = tch_lazy_callbacks; *name; name += strlen(name) + 1, slot++) callbacks[slot] = tch_lazy_callback_slots[slot];
  slot = 0;
  for (const char *name = tch_lazy_names; *name; name += strlen(name) + 1, slot++) {
    void *function = dlsym(library, name);
    if (!function) fail(dlerror());
    __atomic_store_n(&tch_lazy_slots[slot], function, __ATOMIC_RELEASE);
  }
}

void tch_lazy_load(void) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, load);
}

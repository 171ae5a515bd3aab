#include "workload.h"

const struct workload uring_cases[] = {{0}};

#include "workload.h"

const struct workload receive_cases[] = {{0}};

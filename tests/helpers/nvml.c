/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * A small libnvidia-ml.so.1 for the tests: as much of NVIDIA's management
 * library as autotune calls. What it tells stands in the file that NVML_FAKE
 * names, one thing a line, so that a test can change it at any time:
 *
 *   driver VERSION
 *   fail NUMBER                  nvmlInit fails with this code
 *   hang                         nvmlInit never returns
 *   gpu UUID NAME TOTAL USED     in MiB; an underscore in NAME is a space
 *   use UUID PID MIB             a process that uses a GPU
 *   lost UUID                    every question to it fails
 *   volatile UUID                the driver is not kept loaded
 *   hot UUID                     it is slowed down by heat
 *   errors UUID NUMBER           errors of its memory
 *
 * Layouts and numbers are those of nvml.h.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SUCCESS = 0, INVALID_ARGUMENT = 2, INSUFFICIENT_SIZE = 7, GPU_IS_LOST = 15 };
enum { MOST = 16, MIB = 1 << 20, HOT = 0x20 };

struct gpu {
    char uuid[80], name[96];
    unsigned long long total, used, errors;
    int is_lost, is_volatile, is_hot;
};
struct use {
    char uuid[80];
    unsigned pid;
    unsigned long long memory;
};
struct memory {
    unsigned version;
    unsigned long long total, reserved, free, used;
};
struct process {
    unsigned pid;
    unsigned long long memory;
    unsigned gpu_instance, compute_instance;
};

static struct gpu gpus[MOST];
static struct use uses[MOST];
static unsigned gpu_count, use_count;
static char driver[80] = "0";

static struct gpu *find(const char *uuid)
{
    for (unsigned i = 0; i < gpu_count; i++)
        if (strcmp(gpus[i].uuid, uuid) == 0)
            return &gpus[i];
    exit(70);
}

static int read_file(void)
{
    const char *path = getenv("NVML_FAKE");
    FILE *file = path ? fopen(path, "r") : NULL;
    char line[512], word[80];
    unsigned long long number;
    int code = SUCCESS;

    if (!file)
        exit(70);
    while (fgets(line, sizeof line, file)) {
        struct gpu *gpu = &gpus[gpu_count];
        struct use *use = &uses[use_count];
        if (strcmp(line, "hang\n") == 0)
            for (;;)
                pause();
        if (sscanf(line, "driver %79s", driver) == 1)
            continue;
        if (sscanf(line, "fail %d", &code) == 1)
            continue;
        if (sscanf(line, "gpu %79s %95s %llu %llu", gpu->uuid, gpu->name, &gpu->total, &gpu->used) == 4)
            gpu_count++;
        if (sscanf(line, "use %79s %u %llu", use->uuid, &use->pid, &use->memory) == 3)
            use_count++;
        if (sscanf(line, "lost %79s", word) == 1)
            find(word)->is_lost = 1;
        if (sscanf(line, "volatile %79s", word) == 1)
            find(word)->is_volatile = 1;
        if (sscanf(line, "hot %79s", word) == 1)
            find(word)->is_hot = 1;
        if (sscanf(line, "errors %79s %llu", word, &number) == 2)
            find(word)->errors = number;
    }
    fclose(file);
    return code;
}

int nvmlInit_v2(void)
{
    return read_file();
}

int nvmlShutdown(void)
{
    return SUCCESS;
}

int nvmlSystemGetDriverVersion(char *text, unsigned length)
{
    snprintf(text, length, "%s", driver);
    return SUCCESS;
}

int nvmlDeviceGetCount_v2(unsigned *count)
{
    *count = gpu_count;
    return SUCCESS;
}

int nvmlDeviceGetHandleByIndex_v2(unsigned index, struct gpu **gpu)
{
    if (index >= gpu_count)
        return INVALID_ARGUMENT;
    *gpu = &gpus[index];
    return (*gpu)->is_lost ? GPU_IS_LOST : SUCCESS;
}

int nvmlDeviceGetUUID(struct gpu *gpu, char *text, unsigned length)
{
    snprintf(text, length, "%s", gpu->uuid);
    return SUCCESS;
}

int nvmlDeviceGetName(struct gpu *gpu, char *text, unsigned length)
{
    snprintf(text, length, "%s", gpu->name);
    for (char *at = text; *at; at++)
        if (*at == '_')
            *at = ' ';
    return SUCCESS;
}

int nvmlDeviceGetMemoryInfo_v2(struct gpu *gpu, struct memory *memory)
{
    if (memory->version != (sizeof *memory | 2 << 24))
        return INVALID_ARGUMENT;
    memory->total = gpu->total * MIB;
    memory->used = gpu->used * MIB;
    memory->reserved = 0;
    memory->free = memory->total - memory->used;
    return SUCCESS;
}

int nvmlDeviceGetComputeRunningProcesses_v3(struct gpu *gpu, unsigned *count, struct process *list)
{
    unsigned room = *count, found = 0;

    for (unsigned i = 0; i < use_count; i++) {
        if (strcmp(uses[i].uuid, gpu->uuid) != 0)
            continue;
        if (list && found < room)
            list[found] = (struct process){ uses[i].pid, uses[i].memory * MIB, -1u, -1u };
        found++;
    }
    *count = found;
    return found > room ? INSUFFICIENT_SIZE : SUCCESS;
}

int nvmlDeviceGetGraphicsRunningProcesses_v3(struct gpu *gpu, unsigned *count, struct process *list)
{
    (void)gpu;
    (void)list;
    *count = 0;
    return SUCCESS;
}

int nvmlDeviceGetPersistenceMode(struct gpu *gpu, int *mode)
{
    *mode = !gpu->is_volatile;
    return SUCCESS;
}

int nvmlDeviceGetCurrentClocksThrottleReasons(struct gpu *gpu, unsigned long long *reasons)
{
    *reasons = gpu->is_hot ? HOT : 0;
    return SUCCESS;
}

int nvmlDeviceGetTotalEccErrors(struct gpu *gpu, int kind, int counter, unsigned long long *count)
{
    (void)kind;
    (void)counter;
    *count = gpu->errors;
    return SUCCESS;
}

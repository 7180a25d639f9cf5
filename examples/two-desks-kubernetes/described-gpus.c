/*
 * Written by composegen; edit the preset instead.
 *
 * The CUDA runtime of GPUs that are described instead of present, for composegen's probes alone.
 *
 * Preloaded into llama-server it answers what a dry run asks of CUDA: which devices there are, what they can do and
 * how much of their memory is free. A dry run allocates nothing on a device and launches nothing, so addresses are
 * made up, copies do nothing and every kernel counts as compiled.
 *
 *   COMPOSEGEN_GPUS=TOTAL:FREE:MAJOR.MINOR,...   MiB, MiB and compute capability of each device, in device order
 *
 * Compiled against the toolkit's own headers: the layout of cudaDeviceProp is not the same in every major version.
 */
#define _GNU_SOURCE
#include <cuda_runtime_api.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MIB 1048576ULL
#define MOST 64

struct described {
    unsigned long long total, free;
    int major, minor;
};

static struct described gpus[MOST];
static int count = -1;
static __thread int current;

static int described(void) {
    const char *text = getenv("COMPOSEGEN_GPUS");
    if (count >= 0)
        return count;
    count = 0;
    while (text && *text && count < MOST) {
        struct described *gpu = &gpus[count];
        int length = 0;
        if (sscanf(text, "%llu:%llu:%d.%d%n", &gpu->total, &gpu->free, &gpu->major, &gpu->minor, &length) != 4 ||
            (text[length] != ',' && text[length] != '\0')) {
            fprintf(stderr, "COMPOSEGEN_GPUS: cannot read `%s`\n", text);
            abort();
        }
        count++;
        text += length + (text[length] == ',');
    }
    return count;
}

/* Bytes of shared memory that one block may ask for; CUDA C++ Programming Guide, "Technical Specifications per
 * Compute Capability". */
static size_t shared_memory(const struct described *gpu) {
    switch (gpu->major * 10 + gpu->minor) {
    case 70: case 72:           return 96 << 10;
    case 75:                    return 64 << 10;
    case 80: case 87:           return 163 << 10;
    case 90: case 100: case 103: case 110: return 227 << 10;
    default:                    return 99 << 10; /* 8.6, 8.9, 12.0, 12.1 */
    }
}

cudaError_t cudaGetDeviceCount(int *devices) {
    *devices = described();
    return *devices ? cudaSuccess : cudaErrorNoDevice;
}

static cudaError_t properties(struct cudaDeviceProp *prop, int device) {
    const struct described *gpu;
    if (device < 0 || device >= described())
        return cudaErrorInvalidDevice;
    gpu = &gpus[device];
    memset(prop, 0, sizeof *prop);
    snprintf(prop->name, sizeof prop->name, "described GPU %d", device);
    prop->totalGlobalMem = gpu->total * MIB;
    prop->major = gpu->major;
    prop->minor = gpu->minor;
    prop->multiProcessorCount = 64;
    prop->sharedMemPerBlock = 48 << 10;
    prop->sharedMemPerBlockOptin = shared_memory(gpu);
    prop->sharedMemPerMultiprocessor = shared_memory(gpu) + 1024;
    prop->regsPerBlock = prop->regsPerMultiprocessor = 65536;
    prop->warpSize = 32;
    prop->maxThreadsPerBlock = 1024;
    prop->maxThreadsPerMultiProcessor = 1536;
    prop->pciBusID = device + 1;
    return cudaSuccess;
}

/* Until CUDA 12 the name of the header's function is a macro for the second of these. */
#undef cudaGetDeviceProperties
cudaError_t cudaGetDeviceProperties(struct cudaDeviceProp *prop, int device) { return properties(prop, device); }
cudaError_t cudaGetDeviceProperties_v2(struct cudaDeviceProp *prop, int device) { return properties(prop, device); }

cudaError_t cudaSetDevice(int device) {
    if (device < 0 || device >= described())
        return cudaErrorInvalidDevice;
    current = device;
    return cudaSuccess;
}

cudaError_t cudaGetDevice(int *device) {
    *device = current;
    return cudaSuccess;
}

cudaError_t cudaMemGetInfo(size_t *free, size_t *total) {
    if (current >= described())
        return cudaErrorNoDevice;
    *free = gpus[current].free * MIB;
    *total = gpus[current].total * MIB;
    return cudaSuccess;
}

cudaError_t cudaDeviceGetPCIBusId(char *id, int length, int device) {
    snprintf(id, length, "0000:%02x:00.0", device + 1);
    return cudaSuccess;
}

cudaError_t cudaDeviceGetAttribute(int *value, enum cudaDeviceAttr attribute, int device) {
    (void)attribute, (void)device;
    *value = 0;
    return cudaSuccess;
}

cudaError_t cudaDeviceCanAccessPeer(int *can, int device, int peer) {
    (void)device, (void)peer;
    *can = 0;
    return cudaSuccess;
}

/* Compiled for whatever device asks. */
cudaError_t cudaFuncGetAttributes(struct cudaFuncAttributes *attributes, const void *kernel) {
    const struct described *gpu = &gpus[current];
    (void)kernel;
    memset(attributes, 0, sizeof *attributes);
    attributes->maxThreadsPerBlock = 1024;
    attributes->numRegs = 32;
    if (described())
        attributes->binaryVersion = attributes->ptxVersion = gpu->major * 10 + gpu->minor;
    return cudaSuccess;
}

/* Addresses rise and are never used: 256 bytes are the alignment that CUDA guarantees. */
cudaError_t cudaMalloc(void **at, size_t bytes) {
    static unsigned long long next = 0x700000000000ULL;
    *at = (void *)__atomic_fetch_add(&next, (bytes + 511) & ~255ULL, __ATOMIC_RELAXED);
    return cudaSuccess;
}

/* Memory of the host is written by the host, so it is real; by the page, as pinned memory is. */
cudaError_t cudaMallocHost(void **at, size_t bytes) {
    return posix_memalign(at, 4096, bytes ? bytes : 1) ? cudaErrorMemoryAllocation : cudaSuccess;
}

cudaError_t cudaFreeHost(void *at) {
    free(at);
    return cudaSuccess;
}

/* A handle is something that is not null. */
static int handle;

cudaError_t cudaStreamCreateWithFlags(cudaStream_t *stream, unsigned flags) {
    (void)flags;
    *stream = (cudaStream_t)&handle;
    return cudaSuccess;
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t *event, unsigned flags) {
    (void)flags;
    *event = (cudaEvent_t)&handle;
    return cudaSuccess;
}

#define DOES_NOTHING(name, ...) \
    cudaError_t name(__VA_ARGS__) { return cudaSuccess; }
#pragma GCC diagnostic ignored "-Wunused-parameter"
DOES_NOTHING(cudaSetDeviceFlags, unsigned flags)
DOES_NOTHING(cudaDeviceEnablePeerAccess, int peer, unsigned flags)
DOES_NOTHING(cudaDeviceDisablePeerAccess, int peer)
DOES_NOTHING(cudaDeviceSynchronize, void)
DOES_NOTHING(cudaGetLastError, void)
DOES_NOTHING(cudaPeekAtLastError, void)
DOES_NOTHING(cudaFree, void *at)
DOES_NOTHING(cudaMemset, void *at, int value, size_t bytes)
DOES_NOTHING(cudaMemsetAsync, void *at, int value, size_t bytes, cudaStream_t stream)
DOES_NOTHING(cudaMemcpyAsync, void *to, const void *from, size_t bytes, enum cudaMemcpyKind kind, cudaStream_t stream)
DOES_NOTHING(cudaFuncSetAttribute, const void *kernel, enum cudaFuncAttribute attribute, int value)
DOES_NOTHING(cudaStreamDestroy, cudaStream_t stream)
DOES_NOTHING(cudaStreamSynchronize, cudaStream_t stream)
DOES_NOTHING(cudaStreamWaitEvent, cudaStream_t stream, cudaEvent_t event, unsigned flags)
DOES_NOTHING(cudaEventDestroy, cudaEvent_t event)
DOES_NOTHING(cudaEventRecord, cudaEvent_t event, cudaStream_t stream)
DOES_NOTHING(cudaEventSynchronize, cudaEvent_t event)

/*
 * The driver's functions that llama.cpp links to; the rest comes from a libcuda.so.1 whose functions all fail.
 * No attribute is set, so that it does not manage virtual memory. Declared here: <cuda.h> is not needed for them.
 */
int cuDeviceGet(int *device, int ordinal) {
    *device = ordinal;
    return 0;
}

int cuDeviceGetAttribute(int *value, int attribute, int device) {
    (void)attribute, (void)device;
    *value = 0;
    return 0;
}

int cuGetErrorString(int error, const char **text) {
    (void)error;
    *text = "not a real driver";
    return 0;
}

//! A source tree with llama.cpp's targets and none of its code: it compiles in a second, and its programs
//! tell what the build passed to CMake. What llama.cpp itself makes of it is proved by the CPU image.

use std::path::Path;

/// Prints its library's word and its build, then its arguments, one a line. Where GPUs are described, it loads
/// the CUDA backend's library, as llama-server does, and prints what that sees.
const MAIN: &str = r#"#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
const char *word(void);
const char *build(void);
static int see(void) {
    void *backend = dlopen("/app/libggml-cuda.so", RTLD_NOW | RTLD_GLOBAL);
    int (*devices)(int *), (*choose)(int), (*memory)(size_t *, size_t *);
    int (*driver)(void), n = 0;
    if (!backend) return printf("%s\n", dlerror());
    *(void **)&devices = dlsym(RTLD_DEFAULT, "cudaGetDeviceCount");
    *(void **)&choose = dlsym(RTLD_DEFAULT, "cudaSetDevice");
    *(void **)&memory = dlsym(RTLD_DEFAULT, "cudaMemGetInfo");
    *(void **)&driver = dlsym(backend, "fails");
    if (!devices || !choose || !memory || !driver) return printf("no CUDA runtime\n");
    devices(&n);
    for (int i = 0; i < n; i++) {
        size_t free, total;
        choose(i), memory(&free, &total);
        printf("%d: %zu of %zu MiB\n", i, free >> 20, total >> 20);
    }
    return printf("driver %d\n", driver());
}
int main(int argc, char **argv) {
    if (getenv("COMPOSEGEN_GPUS")) return see() < 0;
    printf("%s %s\n", word(), build());
    for (int i = 1; i < argc; i++) printf("%s\n", argv[i]);
}
"#;

/// Links to the driver and to cuBLAS, as llama.cpp's CUDA backend does.
const CUDA: &str = r"int cuMemMap(void);
int cublasCreate_v2(void);
int fails(void) { return cuMemMap() + cublasCreate_v2(); }
";

/// As in llama.cpp, one file knows the build.
const BUILD: &str = r#"const char *build(void) { return "@LLAMA_BUILD_NUMBER@-@LLAMA_BUILD_COMMIT@"; }
"#;

/// The list of variables and files is written where the Dockerfile takes the libraries from.
const CMAKE: &str = r#"cmake_minimum_required(VERSION 3.14)
project(stand-in C)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
set(CMAKE_LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
set(CMAKE_C_COMPILER_LAUNCHER ccache)
configure_file(build.c.in ${CMAKE_BINARY_DIR}/build.c)
add_library(word SHARED word.c ${CMAKE_BINARY_DIR}/build.c)
foreach(name llama-server llama-bench llama-fit-params llama-gguf-split ggml-rpc-server)
    add_executable(${name} main.c)
    target_link_libraries(${name} word dl)
endforeach()
file(WRITE ${CMAKE_BINARY_DIR}/driver.c "int cuMemMap(void) { return 0; }")
file(WRITE ${CMAKE_BINARY_DIR}/blas.c "int cublasCreate_v2(void) { return 0; }")
add_library(driver SHARED ${CMAKE_BINARY_DIR}/driver.c)
set_target_properties(driver PROPERTIES OUTPUT_NAME cuda SOVERSION 1)
add_library(blas SHARED ${CMAKE_BINARY_DIR}/blas.c)
set_target_properties(blas PROPERTIES OUTPUT_NAME cublas SOVERSION 12)
set_target_properties(driver blas PROPERTIES LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/stubs)
add_library(ggml-cuda SHARED cuda.c)
target_link_libraries(ggml-cuda driver blas)
set_target_properties(ggml-cuda PROPERTIES SKIP_BUILD_RPATH ON)
add_dependencies(llama-server ggml-cuda)
set(seen "")
foreach(name CMAKE_CUDA_ARCHITECTURES GGML_CUDA_FA_QUANTS GGML_NATIVE NASTY)
    string(APPEND seen "${name}=${${name}}\n")
endforeach()
file(GLOB_RECURSE files RELATIVE ${CMAKE_SOURCE_DIR} ${CMAKE_SOURCE_DIR}/*)
file(WRITE ${CMAKE_BINARY_DIR}/bin/seen.so.txt "${seen}FILES=${files}\n")
"#;

/// Writes the tree; `word` is what its programs print first.
pub(crate) fn write(directory: &Path, word: &str) {
    fs_err::create_dir_all(directory).unwrap();
    file(directory, "CMakeLists.txt", CMAKE);
    file(directory, "main.c", MAIN);
    file(directory, "build.c.in", BUILD);
    file(directory, "cuda.c", CUDA);
    set_word(directory, word);
}

/// Changes one file of the tree.
pub(crate) fn set_word(directory: &Path, word: &str) {
    file(directory, "word.c", &format!("const char *word(void) {{ return \"{word}\"; }}\n"));
}

pub(crate) fn file(directory: &Path, name: &str, text: &str) {
    let path = directory.join(name);
    fs_err::create_dir_all(path.parent().unwrap()).unwrap();
    fs_err::write(path, text).unwrap();
}

//! A source tree with llama.cpp's targets and none of its code: it compiles in a second, and its programs
//! tell what the build passed to CMake. What llama.cpp itself makes of it is proved by the CPU image.

use std::path::Path;

/// Prints its library's word and its build, then its arguments, one a line.
const MAIN: &str = r#"#include <stdio.h>
const char *word(void);
int main(int argc, char **argv) {
    printf("%s %s-%s\n", word(), BUILD_NUMBER, BUILD_COMMIT);
    for (int i = 1; i < argc; i++) printf("%s\n", argv[i]);
}
"#;

/// The list of variables and files is written where the Dockerfile takes the libraries from.
const CMAKE: &str = r#"cmake_minimum_required(VERSION 3.14)
project(stand-in C)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
set(CMAKE_LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
set(CMAKE_C_COMPILER_LAUNCHER ccache)
add_library(word SHARED word.c)
foreach(name llama-server llama-bench llama-fit-params llama-gguf-split ggml-rpc-server)
    add_executable(${name} main.c)
    target_link_libraries(${name} word)
endforeach()
set_source_files_properties(main.c PROPERTIES COMPILE_DEFINITIONS
    "BUILD_NUMBER=\"${LLAMA_BUILD_NUMBER}\";BUILD_COMMIT=\"${LLAMA_BUILD_COMMIT}\"")
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

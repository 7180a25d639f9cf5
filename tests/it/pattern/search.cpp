// What llama.cpp does with a pattern and a tensor's name. Reads pairs of lines; prints 1 found, 0 not found, E refused.
#include <iostream>
#include <regex>
#include <string>

int main() {
    for (std::string pattern, name; std::getline(std::cin, pattern) && std::getline(std::cin, name);) {
        try {
            std::cout << std::regex_search(name, std::regex(pattern)) << '\n';
        } catch (const std::regex_error &) {
            std::cout << "E\n";
        }
    }
}

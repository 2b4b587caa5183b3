# The Debian package: `cpack --config build/release/CPackConfig.cmake` (docs/deploy-vm.md). Its dependencies are what the program
# links to, found by dpkg-shlibdeps, so it is for the release of Debian that it was built on.
set(package ${CMAKE_SOURCE_DIR}/deploy/debian)
install(TARGETS colloquy RUNTIME DESTINATION bin)
install(FILES ${CMAKE_SOURCE_DIR}/deploy/systemd/colloquy.service DESTINATION lib/systemd/system)
install(FILES ${package}/copyright DESTINATION share/doc/colloquy)
file(GLOB pages ${CMAKE_SOURCE_DIR}/docs/*.md)
install(FILES ${CMAKE_SOURCE_DIR}/CHANGELOG.md ${pages} DESTINATION share/doc/colloquy)
install(FILES ${package}/colloquy.conf DESTINATION /etc/colloquy)

# What goes into the program itself, for the list of what an image holds (deploy/docker/sbom).
execute_process(COMMAND dpkg-query -W -f "\${Package} \${Version} \${Architecture}\n" libboost1.81-dev libcli11-dev
  OUTPUT_FILE ${CMAKE_BINARY_DIR}/built-with ERROR_QUIET)
install(FILES ${CMAKE_BINARY_DIR}/built-with DESTINATION share/colloquy)

if(COLLOQUY_LLAMA)
  # llama.cpp's libraries, one for each kind of processor, beside the program.
  file(GLOB llama_libraries ${COLLOQUY_LLAMA_FOLDER}/lib/libggml*.so ${COLLOQUY_LLAMA_FOLDER}/lib/libllama.v*.so)
  install(FILES ${llama_libraries} DESTINATION lib/colloquy)
  install(FILES ${COLLOQUY_LLAMA_FOLDER}/source/LICENSE DESTINATION share/doc/colloquy RENAME copyright.llama.cpp)
  # Where /proc is not mounted, as in a root that is only just being made, the loader does not know $ORIGIN.
  set_target_properties(colloquy PROPERTIES INSTALL_RPATH "$ORIGIN/../lib/colloquy;/usr/lib/colloquy")
  set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS_PRIVATE_DIRS ${COLLOQUY_LLAMA_FOLDER}/lib)
endif()

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME colloquy)
set(CPACK_PACKAGE_VERSION ${PROJECT_VERSION})
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "durable conversation server for language models")
set(CPACK_PACKAGE_CONTACT "The maintainers of Colloquy <maintainers@colloquy.invalid>")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS
  OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION net)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
# Certificates of other servers, and the user that it runs as.
set(CPACK_DEBIAN_PACKAGE_DEPENDS "adduser, ca-certificates")
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA
  "${package}/conffiles;${package}/postinst;${package}/prerm;${package}/postrm")
include(CPack)

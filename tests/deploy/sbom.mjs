// What is wrong with a list of what an image holds, as SPDX 2.3 asks for it; `packages` are the image's own, as "name version".
const kOfPackage = ['SPDXID', 'name', 'versionInfo', 'downloadLocation', 'filesAnalyzed', 'licenseConcluded', 'licenseDeclared', 'copyrightText'];

export function sbomErrors(document, packages) {
  const errors = [];
  if (document.spdxVersion !== 'SPDX-2.3' || document.dataLicense !== 'CC0-1.0') errors.push('it is not SPDX-2.3');
  if (document.SPDXID !== 'SPDXRef-DOCUMENT' || !/^urn:uuid:[0-9a-f-]{36}$/.test(document.documentNamespace)) errors.push('it has no name of its own');
  if (!/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/.test(document.creationInfo?.created) || !document.creationInfo.creators?.length) errors.push('nobody made it');
  const ids = new Set(['SPDXRef-DOCUMENT']);
  for (const one of document.packages) {
    for (const field of kOfPackage) if (one[field] === undefined || one[field] === '') errors.push(`${one.name} has no ${field}`);
    if (!/^SPDXRef-[A-Za-z0-9.-]+$/.test(one.SPDXID)) errors.push(`${one.SPDXID} is no id`);
    if (ids.has(one.SPDXID)) errors.push(`${one.SPDXID} is there twice`);
    ids.add(one.SPDXID);
    for (const { referenceLocator } of one.externalRefs ?? []) {
      if (!/^pkg:deb\/debian\/[a-z0-9.%B-]+@[^?\s:+]+\?arch=\w+&distro=debian-\d+$/.test(referenceLocator)) errors.push(`${referenceLocator} is no package URL`);
    }
  }
  const related = new Set(document.relationships.flatMap((one) => [one.spdxElementId, one.relatedSpdxElement]));
  for (const id of ids) if (!related.has(id)) errors.push(`${id} is in no relation`);
  for (const id of related) if (!ids.has(id)) errors.push(`${id} is related to, and not there`);
  const listed = new Set(document.packages.map(({ name, versionInfo }) => `${name} ${versionInfo}`));
  for (const one of packages) if (!listed.has(one)) errors.push(`${one} is not listed`);
  // What is compiled in, and no package of the image.
  for (const name of ['libboost1.81-dev', 'libcli11-dev']) {
    if (!document.packages.some((one) => one.name === name)) errors.push(`${name} is not listed`);
  }
  return errors;
}

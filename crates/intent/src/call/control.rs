//! Who controls a contract: its code (EIP-1967, EIP-1822, beacons, EIP-2535), its owner (EIP-173), its roles.

use chain::{evm::Account, u256::U256};

use super::{Arguments, Call, Function, Walk, function};
use crate::effect::Act;

pub(super) const FUNCTIONS: &[Function] = &[
    function(0x3659_cfe6, "upgradeTo(address)", upgrade),
    function(0x4f1e_f286, "upgradeToAndCall(address,bytes)", upgrade_and_call),
    function(0x3253_55ec, "upgradeBeaconToAndCall(address,bytes)", beacon_and_call),
    function(0x8f28_3970, "changeAdmin(address)", admin),
    function(0x99a8_8ec4, "upgrade(address,address)", upgrade_other),
    function(0x9623_609d, "upgradeAndCall(address,address,bytes)", upgrade_other_and_call),
    function(0x7eff_275e, "changeProxyAdmin(address,address)", admin_of_other),
    function(0x1f93_1c1c, "diamondCut((address,uint8,bytes4[])[],address,bytes)", diamond),
    function(0xf2fd_e38b, "transferOwnership(address)", ownership),
    function(0x13af_4035, "setOwner(address)", ownership),
    function(0xa6f9_dae1, "changeOwner(address)", ownership),
    function(0x634e_93da, "beginDefaultAdminTransfer(address)", ownership),
    function(0x7150_18a6, "renounceOwnership()", renounce),
    function(0x79ba_5097, "acceptOwnership()", accept),
    function(0x2f2f_f15d, "grantRole(bytes32,address)", grant),
    function(0xd547_741f, "revokeRole(bytes32,address)", revoke),
    function(0x3656_8abe, "renounceRole(bytes32,address)", revoke),
];

const IMPLEMENTATION: &str = "implementation";

fn changed(walk: &mut Walk<'_>, proxy: Account, what: &'static str, code: Option<Account>) -> Option<()> {
    walk.add(Act::Upgrade { proxy, what, code });
    Some(())
}

/// New code is told something at once: it runs in the name of the proxy.
fn told(walk: &mut Walk<'_>, proxy: Account, code: Account, data: &[u8]) {
    if !data.is_empty() {
        let call = Call { by: Some(proxy), to: code, value: U256::ZERO, data, is_delegate: true };
        walk.inner(0, &call);
    }
}

fn upgrade(walk: &mut Walk<'_>, call: &Call<'_>, args: &Arguments<'_>) -> Option<()> {
    let [code] = args else { return None };
    changed(walk, call.to, IMPLEMENTATION, Some(code.account()?))
}

fn upgrade_and_call(walk: &mut Walk<'_>, call: &Call<'_>, args: &Arguments<'_>) -> Option<()> {
    let [code, data] = args else { return None };
    let code = code.account()?;
    changed(walk, call.to, IMPLEMENTATION, Some(code))?;
    told(walk, call.to, code, data.bytes()?);
    Some(())
}

fn beacon_and_call(walk: &mut Walk<'_>, call: &Call<'_>, args: &Arguments<'_>) -> Option<()> {
    let [beacon, data, ..] = args else { return None };
    let beacon = beacon.account()?;
    changed(walk, call.to, "beacon", Some(beacon))?;
    told(walk, call.to, beacon, data.bytes()?);
    Some(())
}

fn admin(walk: &mut Walk<'_>, call: &Call<'_>, args: &Arguments<'_>) -> Option<()> {
    let [admin] = args else { return None };
    changed(walk, call.to, "admin", Some(admin.account()?))
}

fn upgrade_other(walk: &mut Walk<'_>, _call: &Call<'_>, args: &Arguments<'_>) -> Option<()> {
    let [proxy, code] = args else { return None };
    changed(walk, proxy.account()?, IMPLEMENTATION, Some(code.account()?))
}

fn upgrade_other_and_call(walk: &mut Walk<'_>, _call: &Call<'_>, args: &Arguments<'_>) -> Option<()> {
    let [proxy, code, data] = args else { return None };
    let (proxy, code) = (proxy.account()?, code.account()?);
    changed(walk, proxy, IMPLEMENTATION, Some(code))?;
    told(walk, proxy, code, data.bytes()?);
    Some(())
}

fn admin_of_other(walk: &mut Walk<'_>, _call: &Call<'_>, args: &Arguments<'_>) -> Option<()> {
    let [proxy, admin] = args else { return None };
    changed(walk, proxy.account()?, "admin", Some(admin.account()?))
}

fn diamond(walk: &mut Walk<'_>, call: &Call<'_>, args: &Arguments<'_>) -> Option<()> {
    let [facets, init, data] = args else { return None };
    for facet in facets.many()? {
        let [code, ..] = facet.many()? else { return None };
        // The zero account where functions are taken away.
        changed(walk, call.to, "facet", Some(code.account()?).filter(|code| *code != Account::ZERO))?;
    }
    let init = init.account()?;
    if init != Account::ZERO {
        told(walk, call.to, init, data.bytes()?);
    }
    Some(())
}

fn ownership(walk: &mut Walk<'_>, call: &Call<'_>, args: &Arguments<'_>) -> Option<()> {
    let [owner] = args else { return None };
    walk.add(Act::Ownership { contract: call.to, owner: owner.account()? });
    Some(())
}

fn renounce(walk: &mut Walk<'_>, call: &Call<'_>, _args: &Arguments<'_>) -> Option<()> {
    walk.add(Act::OwnershipAct { contract: call.to, what: "nobody is any more the owner" });
    Some(())
}

fn accept(walk: &mut Walk<'_>, call: &Call<'_>, _args: &Arguments<'_>) -> Option<()> {
    walk.add(Act::OwnershipAct { contract: call.to, what: "the caller takes the ownership" });
    Some(())
}

fn role(walk: &mut Walk<'_>, call: &Call<'_>, args: &Arguments<'_>, granted: bool) -> Option<()> {
    let [role, account] = args else { return None };
    let (role, account) = (role.fixed()?, account.account()?);
    walk.add(Act::Role { contract: call.to, role, account, granted });
    Some(())
}

fn grant(walk: &mut Walk<'_>, call: &Call<'_>, args: &Arguments<'_>) -> Option<()> {
    role(walk, call, args, true)
}

fn revoke(walk: &mut Walk<'_>, call: &Call<'_>, args: &Arguments<'_>) -> Option<()> {
    role(walk, call, args, false)
}

//! `#[entry]`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::ItemFn;

pub fn expand(item: &ItemFn) -> TokenStream {
    let name = &item.sig.ident;
    quote! {
        #item

        // SAFETY: the runtime declares exactly this function and calls it once; a second entry in a program would not link.
        #[cfg(target_os = "none")]
        #[unsafe(no_mangle)]
        fn __libipc_main(boot: ::libipc::Boot) -> u64 {
            ::libipc::start::run(#name, boot)
        }
    }
}
